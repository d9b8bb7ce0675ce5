"""The door for people at a terminal: parse, call a service or a selector, show."""
