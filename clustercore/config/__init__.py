"""Layered settings: what the environment says, with defaults that work on one machine."""
