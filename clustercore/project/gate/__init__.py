"""The one gate: what is decided before Django, for requests and WebSockets alike."""
