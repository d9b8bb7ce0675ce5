"""What looking at work costs where there is much of it: one job of very many pieces, and very many jobs in line.

A part of `growth`; it wants Django set up on an empty database whose tables are made.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from functools import partial
from typing import Any

from django.contrib.auth.models import Group, User
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection
from django.test import Client

from benchmarks import harness
from clustercore.access.domain.roles import Role
from clustercore.jobs.models import Job
from clustercore.jobs.selectors.progress import job_progress
from clustercore.jobs.topics import JOB
from transcription.domain.stages import KIND
from transcription.models import Recording

PIECES = 100_000
LINES = (1_000, 10_000)
OTHERS = 49
"""Jobs on one page of the list beside the one of very many pieces."""
TIMES = 7
NODES = ("attic", "studio", "kitchen")

_JOBS = """
INSERT INTO jobs_job (kind, title, state, stage, priority, owner_id, shared, parameters, language, critical_accuracy,
                      engine, model, request_digest, error, waiting, created)
SELECT %(kind)s, 'recording ' || n || '.flac', 'running', 'transcribe', 0, %(owner)s, false, '{}', 'en', false, '', '',
       '', '', '', now() - interval '3 hours'
FROM generate_series(1, %(jobs)s) AS n
"""
# Half of the pieces are done, four are in hand, five have failed.
_PIECES = """
INSERT INTO jobs_unit (job_id, stage, ordinal, capability, ranked, payload, weight, state, attempts_made, failures,
                       strikes, excluded_nodes, progress, error, hold_reason, created)
SELECT %(job)s, stage, n, 'stt', true, '{"blob": "0123456789abcdef"}', 30, state,
       CASE WHEN state IN ('queued', 'blocked') THEN 0 ELSE 1 END, 0, 0, '{}',
       CASE state WHEN 'leased' THEN 0.5 ELSE 0 END,
       CASE state WHEN 'failed' THEN 'no memory' ELSE '' END, '', now()
FROM (
    SELECT 'cut' AS stage, 0 AS n, 'done' AS state UNION ALL SELECT 'merge', 0, 'blocked' UNION ALL
    SELECT 'transcribe', n, CASE WHEN n < %(done)s - 9 THEN 'done' WHEN n < %(done)s - 5 THEN 'leased'
                                 WHEN n < %(done)s THEN 'failed' ELSE 'queued' END
    FROM generate_series(0, %(pieces)s - 1) AS n
) AS made
"""
_ATTEMPTS = """
INSERT INTO jobs_attempt (unit_id, number, node_name, instance, outcome, lease_until, started, ended, reason, served_by,
                          fenced_results)
SELECT u.id, 1, (%(nodes)s::text[])[1 + u.ordinal %% 3], gen_random_uuid(),
       CASE u.state WHEN 'leased' THEN 'live' ELSE u.state END, now() + interval '1 hour', begun.at,
       CASE WHEN u.state <> 'leased' THEN begun.at + interval '600 milliseconds' END, u.error,
       CASE u.state WHEN 'done' THEN
           '{"engine": "faster-whisper", "model": "small", "rung": 3, "seconds": 0.6, "audio_seconds": 30.0}'::jsonb
       ELSE '{}' END, 0
FROM jobs_unit u CROSS JOIN LATERAL (
    SELECT now() - (%(done)s - u.ordinal) * interval '200 milliseconds' AS at
) AS begun
WHERE u.job_id = %(job)s AND u.state NOT IN ('queued', 'blocked') ORDER BY u.ordinal
"""
_CUTS = """
INSERT INTO transcription_piece (recording_id, unit_id, ordinal, start_sample, end_sample, blob)
SELECT %(recording)s, id, ordinal, ordinal * 480000::bigint, (ordinal + 1) * 480000::bigint, '0123456789abcdef'
FROM jobs_unit WHERE job_id = %(job)s AND stage = 'transcribe' ORDER BY ordinal
"""
_SEGMENTS = """
INSERT INTO transcription_segment (recording_id, piece_id, position, start, "end", text, words, node_name, engine,
                                   model, rung, real_time_factor, speaker)
SELECT p.recording_id, p.id, 0, p.ordinal * 30, p.ordinal * 30 + 30, 'Words that somebody said there.', '[]',
       a.node_name, 'faster-whisper', 'small', 3, 0.02, ''
FROM transcription_piece p JOIN jobs_attempt a ON a.unit_id = p.unit_id WHERE a.outcome = 'done'
"""
_FIRST_UNITS = """
INSERT INTO jobs_unit (job_id, stage, ordinal, capability, ranked, payload, weight, state, attempts_made, failures,
                       strikes, excluded_nodes, progress, error, hold_reason, created)
SELECT id, 'transcribe', 0, 'stt', true, '{}', 30, 'queued', 0, 0, 0, '{}', 0, '', '', now()
FROM jobs_job WHERE id NOT IN (SELECT job_id FROM jobs_unit)
"""
_EVENTS = """
INSERT INTO jobs_jobevent (job_id, at, name, text, node_name)
SELECT id, created, 'submitted', 'submitted: ' || title, '' FROM jobs_job
"""


BARS: harness.Bars = {"job_page_ms_100000": ("<=", 100.0), "job_live_ms_100000": ("<=", 100.0)}


def measure() -> dict[str, float]:
    """Returns the medians in milliseconds, and the size of what is sent; the ledger is empty again at the end."""
    client, owner = _signed_in()
    try:
        found = _of_one_wide_job(client, owner) | _of_many_in_line(owner)
    finally:
        _empty()
    return {name: round(value, 1) for name, value in found.items()}


def _signed_in() -> tuple[Client, User]:
    owner = User.objects.create_user("looker")
    owner.groups.add(Group.objects.get(name=Role.ADMINISTRATOR.value))
    client = Client(headers={"host": "localhost"})
    client.force_login(owner)
    return client, owner


def _of_one_wide_job(client: Client, owner: User) -> dict[str, float]:
    job_id = _wide_job(owner)
    key = str(job_id)
    # Of a process that is at work, templates and plans are ready.
    _page(client, f"/jobs/{job_id + 1}/")
    return {
        # What is dear and remembered for some seconds is read then.
        "job_page_first_ms_100000": harness.milliseconds(lambda: _page(client, f"/jobs/{job_id}/")),
        "job_page_ms_100000": _median(lambda: _page(client, f"/jobs/{job_id}/")),
        "job_page_kb_100000": len(_page(client, f"/jobs/{job_id}/")) / 1000,
        "job_live_ms_100000": _median(lambda: _live(key)),
        "job_live_kb_100000": len(_live(key)) / 1000,
        "job_rest_ms_100000": _median(lambda: _page(client, f"/api/v1/jobs/{job_id}")),
        "jobs_list_ms_100000": _median(lambda: _page(client, "/api/v1/jobs?limit=50")),
    }


def _of_many_in_line(owner: User) -> dict[str, float]:
    found: dict[str, float] = {}
    for jobs in LINES:
        _empty(keep=owner)
        _add_jobs(owner, jobs)
        newest = Job.objects.order_by("-id")[:25]
        found[f"line_ms_{jobs}"] = _median(partial(job_progress, newest))
    return found


def _wide_job(owner: User) -> int:
    """One job of very many pieces, half of them heard, among others on the first page of the list."""
    _add_jobs(owner, 1, units=False)
    job = Job.objects.get()
    recording = Recording.objects.create(job=job, blob="0123456789abcdef", name=job.title, seconds=PIECES * 30.0)
    wanted: dict[str, Any] = {
        "job": job.pk,
        "pieces": PIECES,
        "done": PIECES // 2,
        "nodes": list(NODES),
        "recording": recording.pk,
    }
    with connection.cursor() as cursor:
        for statement in (_PIECES, _ATTEMPTS, _CUTS, _SEGMENTS):
            cursor.execute(statement, wanted)
    _add_jobs(owner, OTHERS)
    return job.pk


def _add_jobs(owner: User, jobs: int, *, units: bool = True) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_JOBS, {"kind": KIND, "owner": owner.pk, "jobs": jobs})
        if units:
            cursor.execute(_FIRST_UNITS)
            cursor.execute(_EVENTS)
            # What a ledger that is in use has long had: figures for the planner, and a map of what all may see.
            cursor.execute("VACUUM ANALYZE")


def _page(client: Client, path: str) -> bytes:
    answer = client.get(path)
    if answer.status_code != 200:
        raise SystemExit(f"{path}: {answer.status_code}")
    return answer.content


def _live(key: str) -> str:
    """What a watcher makes of one change, for programs and for pages."""
    facts = JOB.load({key: None})[key]
    state = json.dumps(JOB.state(key, facts), cls=DjangoJSONEncoder)
    return state + "".join(part.make() for part in JOB.parts(key, facts))


def _median(work: Callable[[], object]) -> float:
    work()
    return statistics.median(harness.milliseconds(work) for _ in range(TIMES))


def _empty(keep: User | None = None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE jobs_job CASCADE")
    if keep is None:
        User.objects.filter(username="looker").delete()
