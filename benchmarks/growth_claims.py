"""What a claim and a node's look for work cost with one, a thousand and ten thousand running jobs, 100,000 units of one
job, and 100,000 finished ones. A part of the benchmark `growth`.
"""

from __future__ import annotations

import statistics
from functools import partial
from pathlib import Path

from django.db import connection

from benchmarks import harness
from benchmarks.growth_ledger import PIECES, add_jobs, add_node, analyze, empty
from benchmarks.past_jobs import fill_past
from clustercore.jobs.domain.verdict import Done
from clustercore.jobs.services.available import below_floor, claimable
from clustercore.jobs.services.claim import Claimant, Claimed, claim
from clustercore.jobs.services.settle import settle
from clustercore.jobs.services.sweep import look

BARS: harness.Bars = {
    **{f"claim_ms_{name}": ("<=", 1.3) for name in ("1", "1000", "10000", "skewed", "history", "others")},
    **{f"look_ms_{name}": ("<=", 1.3) for name in ("1", "1000", "10000")},
    "claim_spread": ("<=", 1.5),
    "look_spread": ("<=", 1.5),
    "wal_kb_per_claim": ("<=", 4.0),
    "unit_growth": ("<=", 1.3),
}
CLAIMS, LOOKS, UNITS = 100, 200, 60
MANY = 100_000


def measure() -> dict[str, float]:
    """Returns milliseconds by the size of the ledger, and how much the largest is above the smallest."""
    found: dict[str, float] = {}
    for running in (1, 1000, 10_000):
        found |= _with_running_jobs(running)
    found |= _among_jobs_of_others() | _beside_a_wide_job() | _after_a_year()
    found["unit_growth"] = _of_a_wide_job_over_a_small_one()
    return found | {"claim_spread": _spread(found, "claim_ms_"), "look_spread": _spread(found, "look_ms_")}


def _with_running_jobs(running: int) -> dict[str, float]:
    empty()
    add_jobs(running, 4 * CLAIMS if running == 1 else 2)
    analyze()
    able, other = add_node("able"), add_node("other", engine="pocketsphinx", rung=-1)
    found = _claims(able, str(running)) | {f"look_ms_{running}": _look_ms(other)}
    return found | ({"wal_kb_per_claim": _wal_kb(able)} if running == 10_000 else {})


def _among_jobs_of_others() -> dict[str, float]:
    """Most of what runs asks for a language, an engine or a rung that this node does not have."""
    empty()
    add_jobs(3000, 2, needs=["lang:de"])
    add_jobs(3000, 2, engine="somebody-elses")
    add_jobs(4000, 2, floor=4)
    add_jobs(1, 2 * CLAIMS)
    analyze()
    return _claims(add_node("able"), "others")


def _beside_a_wide_job() -> dict[str, float]:
    """Six small units that are more urgent than 100,000 of another job, and then some of those."""
    empty()
    add_jobs(1, MANY)
    analyze()
    able = add_node("able")
    _claims(able, "skewed", 20)
    add_jobs(6, 1, priority=1)
    return _claims(able, "skewed", 50)


def _after_a_year() -> dict[str, float]:
    empty()
    fill_past(PIECES, MANY, 1)
    add_jobs(1, 2 * CLAIMS)
    analyze()
    return _claims(add_node("able"), "history")


def _of_a_wide_job_over_a_small_one() -> float:
    """Claimed and settled, turn by turn, so that what else the machine does meets both alike."""
    empty()
    wide, small = add_jobs(1, MANY)[0], add_jobs(1, 100, needs=["lang:de"])[0]
    analyze()
    of_wide, of_small = add_node("english"), add_node("german")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE nodes_nodemodel SET traits = '{lang:de}' WHERE node_id = %s", [of_small.node_id])
    times: dict[int, list[float]] = {wide: [], small: []}
    for _ in range(UNITS):
        for job_id, node in ((wide, of_wide), (small, of_small)):
            times[job_id].append(harness.milliseconds(partial(_work, node)))
    return round(statistics.median(times[wide]) / statistics.median(times[small]), 3)


def _work(node: Claimant) -> None:
    settle(_taken(node).key, Done({"text": "heard"}))


def _taken(node: Claimant) -> Claimed:
    found = claim(node)
    if found is None:
        raise AssertionError("there was to be a unit for this node")
    return found


def _claims(node: Claimant, name: str, claims: int = CLAIMS) -> dict[str, float]:
    """The median as this process sees it, and the database's processor time, where a busy machine counts less."""
    _taken(node)
    of_backend = _schedstat()
    before = _processor_ms(of_backend)
    median = statistics.median([harness.milliseconds(partial(_taken, node)) for _ in range(claims)])
    processor = (_processor_ms(of_backend) - before) / claims
    return {f"claim_ms_{name}": round(median, 3), f"claim_processor_ms_{name}": round(processor, 3)}


def _look_ms(node: Claimant) -> float:
    """Processor time of the database for a look of a node for which nothing is: the longest one."""
    of_backend = _schedstat()
    _look(node)
    before = _processor_ms(of_backend)
    for _ in range(LOOKS):
        _look(node)
    return round((_processor_ms(of_backend) - before) / LOOKS, 3)


def _look(node: Claimant) -> None:
    if not look(1e9).is_open:
        raise AssertionError("there was to be work")
    if claimable(node.node_id, node.capabilities, 4):
        raise AssertionError("nothing was to be for this node")
    below_floor(node.node_id, node.capabilities)


def _schedstat() -> Path:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return Path(f"/proc/{cursor.fetchone()[0]}/schedstat")


def _processor_ms(schedstat: Path) -> float:
    return int(schedstat.read_text().split()[0]) / 1e6


def _wal_kb(node: Claimant) -> float:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_wal_insert_lsn()")
        before = cursor.fetchone()[0]
        for _ in range(CLAIMS):
            _taken(node)
        cursor.execute("SELECT pg_current_wal_insert_lsn() - %s::pg_lsn", [before])
        return round(float(cursor.fetchone()[0]) / CLAIMS / 1024, 3)


def _spread(found: dict[str, float], prefix: str) -> float:
    values = [value for name, value in found.items() if name.startswith(prefix)]
    return round(max(values) / min(values), 3)
