"""How many units a second a node gets through whose handlers return at once, beside three peers on the same servers.

python -m benchmarks throughput [--units 1500] [--lost-units 4000] [--rounds 3] [--strict]

The peers take turns with the node, at 1, 2, 4 and 8 slots each: plain Celery tasks in the same threads, procrastinate
(`pip install clustercore[bench]`; left out where it is not installed), and a loop of the two statements that a queue in
PostgreSQL cannot do without (`benchmarks.bare_queue`). Nobody keeps a result in Redis. All is queued before the clock
starts; units and procrastinate's jobs are timed by the rows that they leave. `lost_messages_over_all` compares a run in
which Redis is emptied as soon as the messages are sent with one in which it is not, at 4 slots.
"""

from __future__ import annotations

import subprocess
import sys
import time
from importlib.util import find_spec
from typing import Any

import psycopg
import redis
from django.core.management import call_command
from django.db import connection
from psycopg.conninfo import make_conninfo

from benchmarks import harness
from benchmarks.empty_units import EMPTY, bare
from benchmarks.overhead import insert, open_job
from clustercore.embedded.domain.endpoints import Endpoints
from clustercore.embedded.services import ensure_running, stop
from clustercore.jobs.models import Job, Unit
from clustercore.jobs.workflows import ring_units
from clustercore.nodes.domain.queues import queue_for
from clustercore.nodes.models import Node
from clustercore.project.celery import app

DATA_DIRECTORY = harness.data_directory()

SLOTS = (1, 2, 4, 8)
COMPARED = 4
"""The slots at which the bars are."""
NODE = "bench"
PARKED = "parked"
"""A queue that nobody serves: what is sent to it becomes the node's queue at once."""
PEERS = "peers"
"""The database of the peers."""
HAS_PROCRASTINATE = find_spec("procrastinate") is not None
PEER_NAMES = ("units", *(("procrastinate",) if HAS_PROCRASTINATE else ()), "celery", "bare")
_PROCRASTINATE_BARS: harness.Bars = {"over_procrastinate": (">=", 1.2)} if HAS_PROCRASTINATE else {}
BARS: harness.Bars = {**_PROCRASTINATE_BARS, "of_bare": (">=", 0.30), "lost_messages_over_all": (">=", 0.8)}
_SECONDS = """
SELECT extract(epoch FROM max(a.ended) - min(a.started)), count(*)
FROM jobs_attempt a JOIN jobs_unit u ON u.id = a.unit_id WHERE u.job_id = %s AND a.outcome = 'done'
"""


def queued(count: int) -> tuple[Job, list[int]]:
    """A job with so many units, of which nobody has been told."""
    job = open_job()
    Job.objects.filter(pk=job.pk).update(state="paused")
    return job, insert(job, range(1, count + 1))


def until_done(job: Job) -> None:
    """Waits for all units but the one that belongs to nobody."""
    left = Unit.objects.filter(job=job, capability="media").exclude(state="done")
    harness.wait_until(lambda: not left.exists(), 600, "the units", every=0.2)


def units_per_second(count: int) -> float:
    """From the first unit that is taken to the last that is done."""
    job, ids = queued(count)
    Job.objects.filter(pk=job.pk).update(state="running")
    ring_units(EMPTY.name, "nothing", ids)
    until_done(job)
    with connection.cursor() as cursor:
        cursor.execute(_SECONDS, [job.pk])
        seconds, done = cursor.fetchone()
    if done != count:
        raise RuntimeError(f"{done} of {count} units were done, each once")
    Job.objects.filter(pk=job.pk).update(state="cancelled")
    return count / float(seconds)


def tasks_per_second(broker: redis.Redis, count: int) -> float:
    """Plain tasks, of which the last keeps its result."""
    for number in range(count - 1):
        bare.apply_async((number,), queue=PARKED, ignore_result=True)
    last = bare.apply_async((count,), queue=PARKED)
    began = time.perf_counter()
    broker.rename(PARKED, queue_for("media"))
    last.get(timeout=300)
    return count / (time.perf_counter() - began)


def peer_per_second(module: str, url: str, count: int, slots: int) -> float:
    """What a peer in a process of its own says. The URL, which has a password, is for nobody else to see."""
    command = [sys.executable, "-m", module, str(count), str(slots)]
    ended = subprocess.run(command, check=True, input=url, stdout=subprocess.PIPE, text=True)
    return count / float(ended.stdout.split()[-1])


def seconds_until_done(broker: redis.Redis, count: int, *, loses: bool) -> float:
    """From the queueing of a job until its last unit is done; with `loses` every message is lost at once."""
    job, ids = queued(count)
    began = time.perf_counter()
    Job.objects.filter(pk=job.pk).update(state="running")
    if loses:
        # A message that is never sent is lost before anybody can be quicker.
        broker.flushall()
    else:
        ring_units(EMPTY.name, "nothing", ids)
    until_done(job)
    Job.objects.filter(pk=job.pk).update(state="cancelled")
    return time.perf_counter() - began


def at(slots: int, endpoints: Endpoints, units: int, lost_units: int) -> dict[str, float]:
    """One row of the table: all of them at so many slots."""
    url = make_conninfo(endpoints.database_url, dbname=PEERS)
    found: dict[str, float] = {}
    with redis.Redis.from_url(endpoints.redis_url) as broker:
        with harness.worker(f"{NODE}{slots}", slots=slots, include="benchmarks.empty_units"):
            node = Node.objects.filter(name=f"{NODE}{slots}", online=True, hold_reason="")
            harness.wait_until(node.exists, 120, "the node", every=0.2)
            units_per_second(50)
            found["units"] = units_per_second(units)
            found["celery"] = tasks_per_second(broker, units)
            if slots == COMPARED:
                found |= _lost_over_all(broker, lost_units)
        harness.wait_until(lambda: not node.exists(), 60, "the node's end", every=0.2)
    if HAS_PROCRASTINATE:
        found["procrastinate"] = peer_per_second("benchmarks.procrastinate_peer", url, units, slots)
    found["bare"] = peer_per_second("benchmarks.bare_queue", url, units, slots)
    return found


def _lost_over_all(broker: redis.Redis, count: int) -> dict[str, float]:
    all_there = seconds_until_done(broker, count, loses=False)
    lost = seconds_until_done(broker, count, loses=True)
    return {"lost_messages_over_all": all_there / lost, "lost_seconds": lost}


def measure(endpoints: Endpoints, units: int, lost_units: int) -> dict[str, float]:
    """All rows of one round, named `<peer>_<slots>`, and the metrics."""
    rows = {slots: at(slots, endpoints, units, lost_units) for slots in SLOTS}
    found = {f"{peer}_{slots}": rows[slots][peer] for slots in SLOTS for peer in PEER_NAMES}
    row = rows[COMPARED]
    ratios = {"of_bare": row["units"] / row["bare"], "over_celery": row["units"] / row["celery"]}
    if HAS_PROCRASTINATE:
        ratios["over_procrastinate"] = row["units"] / row["procrastinate"]
    lost = {name: value for name, value in row.items() if "lost" in name}
    return {name: round(value, 3) for name, value in {**ratios, **lost, **found}.items()}


def main() -> None:
    """Measures, prints, writes."""
    arguments = harness.arguments(__doc__)
    arguments.add_argument("--units", type=int, default=1500, help="units, tasks and jobs of a run")
    arguments.add_argument("--lost-units", type=int, default=4000, help="units of the job whose messages are lost")
    chosen = arguments.parse_args()
    app.set_default()
    with ensure_running(DATA_DIRECTORY, linger_seconds=5) as lease:
        call_command("migrate", verbosity=0)
        with psycopg.connect(lease.endpoints.database_url, autocommit=True) as link:
            link.execute(f"CREATE DATABASE {PEERS}")
        rounds = harness.rounds(chosen.rounds, lambda _: measure(lease.endpoints, chosen.units, chosen.lost_units))
    stop(DATA_DIRECTORY)
    metrics = harness.medians([one.found for one in rounds])
    table = [(slots, *(round(metrics[f"{peer}_{slots}"]) for peer in PEER_NAMES)) for slots in SLOTS]
    harness.print_table(harness.title("A second, by slots", BARS), ("slots", *PEER_NAMES), table)
    harness.print_table(f"At {COMPARED} slots", ("metric", "value"), [(name, metrics[name]) for name in BARS])

    def draw(axes: Any) -> None:
        for peer in PEER_NAMES:
            axes.plot(SLOTS, [metrics[f"{peer}_{slots}"] for slots in SLOTS], "o-", label=peer)
        axes.set(xlabel="slots", ylabel="a second", title="What a node gets through", ylim=(0, None))
        axes.legend()

    details = {"units": chosen.units, "lost_units": chosen.lost_units, "rounds": [one.found for one in rounds]}
    loads = [one.load for one in rounds]
    harness.publish("throughput", metrics, details, draw, bars=BARS, loads=loads, strict=chosen.strict)
