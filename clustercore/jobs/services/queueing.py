"""Units come into the ledger: all of a call in one statement, bells after the commit."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from django.db import connection, transaction

from clustercore.jobs.domain.kinds import JobKind, QueuedUnit
from clustercore.jobs.domain.lifecycle import UnitState
from clustercore.jobs.domain.new_unit import NewUnit
from clustercore.jobs.domain.verdict import without_nul
from clustercore.jobs.models import Unit
from clustercore.jobs.services.joins import set_waiting
from clustercore.jobs.services.references import refer, share_references
from clustercore.jobs.services.telling import job_changed
from clustercore.jobs.services.turn_locks import alone_in

_GIVEN = {
    "stage": "text",
    "ordinal": "integer",
    "capability": "text",
    "ranked": "boolean",
    "needs": "text[]",
    "prefers": "text[]",
    "payload": "jsonb",
    "weight": "double precision",
    "state": "text",
    "hold_reason": "text",
    '"group"': "text",
    "priority": "smallint",
    "quorum": "smallint",
    "once": "boolean",
    "contract": "smallint",
}
"""The columns that differ from unit to unit, with PostgreSQL's types; `_row` has the values."""

_FROM_NOW = {"join_until": "until_seconds", "deadline": "deadline_seconds"}
"""The columns that are so many seconds from now."""

_ALIKE = {
    "job_id": "%(job)s",
    "created": "now()",
    "attempts_made": "0",
    "failures": "0",
    "strikes": "0",
    "excluded_nodes": "'{}'",
    "progress": "0",
    "error": "''",
}
"""The columns that are alike in all new units, and their values; those with a default of the database are left out."""

_COLUMNS = ", ".join([*_GIVEN, *_FROM_NOW, *_ALIKE])
_VALUES = ", ".join(
    [*_GIVEN, *(f"now() + {seconds} * interval '1 second'" for seconds in _FROM_NOW.values()), *_ALIKE.values()]
)
_TYPED = ", ".join(f"{name} {kind}" for name, kind in (_GIVEN | dict.fromkeys(_FROM_NOW.values(), "float8")).items())
# The identity is drawn after the sorting: units have ids in the order in which they were given.
_INSERT = f"""
INSERT INTO jobs_unit ({_COLUMNS})
SELECT {_VALUES}
FROM jsonb_to_recordset(%(rows)s::jsonb) AS new ({_TYPED}, place integer)
ORDER BY place
ON CONFLICT (job_id, stage, ordinal) DO NOTHING
RETURNING id, stage, ordinal
"""


def queue_units(kind: JobKind, job_id: int, units: Sequence[NewUnit]) -> list[int]:
    """Inserts units that are not there yet and rings for them after the commit; returns the new ids in their order.

    Must run in a transaction that holds the job's row lock (or creates the job). `(stage, ordinal)` pairs already in
    the job are left alone. Raises BlobGone.
    """
    if not units:
        return []
    if names_units(units):
        # One that is completed beside this would be taken for open, and would not know that it is waited for.
        alone_in(job_id)
    queued = _insert(kind, job_id, units)
    job_changed(job_id)
    refer(job_id, {unit_id: new.blobs for unit_id, new in queued})
    set_waiting(kind, job_id, dict(queued))
    for stage, of_stage in _by_stage(queued).items():
        _tell(kind, job_id, stage, of_stage)
    ready = [(unit_id, new) for unit_id, new in queued if not new.after]
    for stage, of_stage in _by_stage(ready).items():
        transaction.on_commit(partial(kind.send, job_id, stage, [unit.unit_id for unit in of_stage]))
    return [unit_id for unit_id, _ in queued]


def names_units(units: Sequence[NewUnit]) -> bool:
    """Returns whether any of them waits for a unit by name, and not for a stage alone."""
    return any(after.ordinal is not None for new in units for after in new.after)


def _insert(kind: JobKind, job_id: int, units: Sequence[NewUnit]) -> list[tuple[int, NewUnit]]:
    """The new ones with their ids, in the order given."""
    held = {stage: _held(kind, job_id, stage) for stage in {new.stage for new in units}}
    rows = [_row(kind, new, held[new.stage]) | {"place": place} for place, new in enumerate(units)]
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, {"job": job_id, "rows": json.dumps(rows, allow_nan=False)})
        ids = {(stage, ordinal): unit_id for unit_id, stage, ordinal in cursor.fetchall()}
    # Of two that are given alike the first is inserted.
    return [(ids.pop(place), new) for new in units if (place := (new.stage, new.ordinal)) in ids]


def _held(kind: JobKind, job_id: int, stage_name: str) -> str:
    stage = kind.stage(stage_name)
    return stage.held(job_id) if stage.held is not None else ""


def _row(kind: JobKind, new: NewUnit, held: str) -> dict[str, Any]:
    """A value for each column in `_GIVEN`, and the seconds of those in `_FROM_NOW`."""
    stage = kind.stage(new.stage)
    return {
        "stage": new.stage,
        "ordinal": new.ordinal,
        "capability": new.capability or stage.capability,
        "ranked": stage.ranked,
        "needs": sorted({*stage.needs, *new.needs}),
        "prefers": sorted(stage.prefers),
        "payload": without_nul(dict(new.payload)),
        "weight": new.weight,
        "state": UnitState.BLOCKED if new.after else UnitState.HELD if held else UnitState.QUEUED,
        "hold_reason": "" if new.after else held,
        "group": new.group,
        "priority": new.priority,
        "quorum": new.join.quorum,
        "once": stage.repeat == "never",
        "contract": stage.contract,
        "until_seconds": new.join.until_seconds,
        "deadline_seconds": new.deadline_seconds,
    }


def _by_stage(queued: Sequence[tuple[int, NewUnit]]) -> Mapping[str, list[QueuedUnit]]:
    found: dict[str, list[QueuedUnit]] = {}
    for unit_id, new in queued:
        found.setdefault(new.stage, []).append(QueuedUnit(unit_id, new.ordinal, new.payload))
    return found


def _tell(kind: JobKind, job_id: int, stage_name: str, queued: Sequence[QueuedUnit]) -> None:
    """Lets the stage record its new units."""
    recorder = kind.stage(stage_name).queued
    if recorder is not None:
        recorder(job_id, queued)


def queue_another(kind: JobKind, job_id: int, stage: str) -> None:
    """Queues one more unit of a stage, like its last one, unless one of them is not done. Under the job's row lock."""
    units = Unit.objects.filter(job_id=job_id, stage=stage)
    if units.exclude(state=UnitState.DONE).exists():
        return
    last = units.latest("ordinal")
    again = NewUnit(
        stage=stage,
        ordinal=last.ordinal + 1,
        payload=last.payload,
        weight=last.weight,
        capability=last.capability,
        needs=last.needs,
    )
    [unit_id] = queue_units(kind, job_id, [again])
    share_references(last.pk, unit_id)
