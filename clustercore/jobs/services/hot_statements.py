"""The statements that every unit, or every node in every second, pays for."""

from __future__ import annotations

from clustercore.jobs.adapters.statements import establish
from clustercore.jobs.services.advance import AFTER_END
from clustercore.jobs.services.available import AVAILABLE, BELOW_FLOOR
from clustercore.jobs.services.claim import CLAIM
from clustercore.jobs.services.ready import COME_DUE
from clustercore.jobs.services.settle import COMPLETE, LOCK_JOB
from clustercore.jobs.services.snapshot import SNAPSHOT, SNAPSHOT_ALONE
from clustercore.jobs.services.sweep import LOOK
from clustercore.jobs.services.turn import BESIDE, TURN

HOT_STATEMENTS = (
    CLAIM,
    AVAILABLE,
    BELOW_FLOOR,
    COME_DUE,
    LOCK_JOB,
    COMPLETE,
    AFTER_END,
    LOOK,
    SNAPSHOT,
    SNAPSHOT_ALONE,
    BESIDE,
    TURN,
)


def establish_statements() -> None:
    """Makes their functions in a database that lacks them."""
    establish(HOT_STATEMENTS)
