"""What the supervisor of a data directory and whoever starts one agree on."""

ALREADY_RUNNING = 75
"""The exit code of a supervisor that found another one."""
