"""Ledgers of any size for the parts of the benchmark `growth`: filled by bulk statements, triggers and all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from django.db import connection
from django.db.models.functions import Now

from clustercore.jobs.domain.kinds import JobKind, Stage, known_contracts, register
from clustercore.jobs.domain.unit_context import UnitContext
from clustercore.jobs.domain.verdict import Done, Verdict
from clustercore.jobs.services.claim import Claimant
from clustercore.nodes.domain.facts import PROTOCOL
from clustercore.nodes.models import Node, NodeModel

LEASE_SECONDS = 3600.0

_JOBS = """
INSERT INTO jobs_job (kind, title, state, stage, priority, shared, parameters, needs, critical_accuracy, engine,
                      model, error, waiting, floor, created, request_digest)
SELECT %(kind)s, 'one of many', 'running', '', %(priority)s, false, '{}', %(needs)s, false, %(engine)s, '', '', '',
       %(floor)s, now(), CASE WHEN %(state)s = 'done' THEN now() END, ''
FROM generate_series(1, %(jobs)s) RETURNING id
"""
_UNITS = """
INSERT INTO jobs_unit (job_id, stage, ordinal, capability, ranked, payload, weight, state, attempts_made, failures,
                       strikes, excluded_nodes, progress, error, hold_reason, created)
SELECT job.id, 'piece', n, 'stt', true, '{"path": "piece.flac"}', 30,
       'queued', 0, 0, 0, '{}', 0, '', '', now()
FROM unnest(%(ids)s::bigint[]) AS job(id), generate_series(1, %(units)s) AS n
ORDER BY job.id, n
"""


def piece(_context: UnitContext) -> Verdict:
    """A handler that is never called: the benchmark claims and settles itself."""
    return Done({})


PIECES = JobKind(
    name="pieces",
    main_stage="piece",
    ring=lambda _job, _stage, _units: None,
    stages=(Stage(name="piece", task="benchmarks.piece", capability="stt", handler=piece, opens="start", ranked=True),),
)
register(PIECES)


def add_jobs(
    jobs: int,
    units: int,
    *,
    priority: int = 0,
    engine: str = "",
    needs: Sequence[str] = ("lang:en",),
    floor: int | None = 0,
) -> list[int]:
    """Adds running jobs with so many queued units each; returns their ids."""
    asked: dict[str, Any] = {"kind": PIECES.name, "jobs": jobs, "priority": priority}
    with connection.cursor() as cursor:
        cursor.execute(_JOBS, asked | {"engine": engine, "needs": list(needs), "floor": floor})
        ids = [row[0] for row in cursor.fetchall()]
        cursor.execute(_UNITS, {"ids": ids, "units": units})
    return ids


def add_node(name: str, engine: str = "faster-whisper", rung: int = 3) -> Claimant:
    """Adds a node that has one model and is there as long as the benchmark is."""
    instance = uuid4()
    node = Node.objects.create(
        name=name, hostname=name, instance=instance, boot_id=name, protocol=PROTOCOL, protocol_instance=instance,
        contracts=list(known_contracts()), process_id=1, operating_system="none", architecture="none", cores=4,
        memory_mb=8000, version="none", slots=1, capabilities=["stt"], heartbeat_seconds=3600.0, last_seen=Now(),
        started=Now(),
    )  # fmt: skip
    NodeModel.objects.create(
        node=node, capability="stt", engine=engine, model="small", traits=["lang:en", "detects-language"], rung=rung
    )
    return Claimant(node.pk, name, instance, name, node.capabilities, LEASE_SECONDS)


def analyze() -> None:
    """Does what autovacuum does within a minute of a change of this size."""
    with connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE) jobs_job, jobs_unit, jobs_attempt, jobs_ready, jobs_demand")


def empty() -> None:
    """Removes all jobs and nodes."""
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE jobs_job, jobs_demand, nodes_node CASCADE")
