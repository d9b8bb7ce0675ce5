"""The advisory locks of PostgreSQL that the product takes, each with a number of its own.

All are taken for a transaction (`pg_advisory_xact_lock`), never for a session: behind a pooler a session belongs to
nobody, and a lock of it to whoever comes next. One that is taken with a second number is another lock for each.
"""

from __future__ import annotations

from enum import IntEnum, unique


@unique
class AdvisoryLock(IntEnum):
    """What is locked; the numbers mean nothing, but every version of the product must use the same."""

    ADMINISTRATORS = 0x61636365
    """Who decides who administers."""
    AUDIT_CHAIN = 0x61756474
    """Who adds to the audit log."""
    MIGRATION = 0x6D696772
    """Who brings the database to this version."""
    SWEEP = 0x636C7573
    """Who ends the leases that ran out."""
    TURN = 0x7475726E
    """Who completes units of a job: beside others (shared), or alone, to see what follows; with the job's number."""
