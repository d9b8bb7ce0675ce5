"""Django's PostgreSQL backend, by the name that `ENGINE` gives it."""
