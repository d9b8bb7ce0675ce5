"""The statements that every unit pays for."""

from __future__ import annotations

from clustercore.jobs.adapters.statements import establish
from clustercore.jobs.services.advance import AFTER_END
from clustercore.jobs.services.claim import CLAIM
from clustercore.jobs.services.settle import COMPLETE, LOCK_JOB
from clustercore.jobs.services.sweep import LOOK

HOT_STATEMENTS = (CLAIM, LOCK_JOB, COMPLETE, AFTER_END, LOOK)


def establish_statements() -> None:
    """Makes their functions in a database that lacks them."""
    establish(HOT_STATEMENTS)
