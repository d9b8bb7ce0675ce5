"""The servers a hub brings with it: a private PostgreSQL and a private Redis, supervised, and the port in front."""
