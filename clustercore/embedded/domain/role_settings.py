"""What PostgreSQL must hold every connection of the product to."""

from __future__ import annotations

ROLE_SETTINGS = {
    "TimeZone": "UTC",
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "20s",
}
"""Kept by the database for its role: what a client sets for itself is lost behind a pooler, or becomes another's.

The ledger's hot statements are functions: planning them costs more than running them, so their plan is
kept, and none is worth compiling. A process that is frozen in the middle of a transaction loses its locks after 20 s,
or its job would stand still.
"""
