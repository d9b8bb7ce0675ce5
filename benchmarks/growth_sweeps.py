"""What waiting costs the cluster: a sweep over jobs that wait for a person, and sixty nodes that find nothing to do.

`held_5000_sweep_ms`: the median of whole sweeps over 5,000 running jobs with one held unit each.
`sixty_nodes_hub_percent`: processor time of all of PostgreSQL's processes as a percentage of one core, while sixty
nodes do what an idle node does each second, and 1,000 jobs run of which none of them may claim anything.
`one_node_hub_percent`: the same for one node where no job runs, and `one_node_statements` how many it sends a second.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import cast

import psutil
from django.db import connection
from django.db.models.functions import Now

from benchmarks import harness
from benchmarks.fan_out import FAN_OUT
from clustercore.jobs.adapters.clocks import read_clocks
from clustercore.jobs.models import Job, JobEvent, Sweep, Unit
from clustercore.jobs.services.held_leases import HeldLeases
from clustercore.jobs.services.hot_statements import establish_statements
from clustercore.jobs.services.lease_hook import LeaseHook
from clustercore.jobs.services.sweep import look, sweep
from clustercore.nodes import services as nodes
from clustercore.nodes.adapters.elapsed import elapsed_seconds
from clustercore.nodes.adapters.spool import DirectorySpools
from clustercore.nodes.domain.hooks import Agent
from clustercore.nodes.models import Node
from clustercore.nodes.services.model_pulls import ModelPuller
from tests.cast import LAPTOP, start_node

HELD_JOBS, WAITING_JOBS, NODES = 5000, 1000, 60
SWEEPS, SECONDS = 9, 20.0
LEASE_SECONDS, HEARTBEAT_SECONDS = 20.0, 5.0
TOO_HIGH = 9
"""A rung that no node of the benchmark reaches."""


BARS: harness.Bars = {"held_5000_sweep_ms": ("<=", 50.0), "sixty_nodes_hub_percent": ("<=", 10.0)}


def measure() -> dict[str, float]:
    """Fills a ledger of its own kind, measures, and leaves nothing."""
    establish_statements()
    found = {}
    with one_server() as server:
        with cluster(1) as members:
            found["one_node_hub_percent"] = percent(server, members)
            found["one_node_statements"] = statements_a_second(members[0])
        with cluster(NODES) as members, waiting_jobs(WAITING_JOBS, state="queued"):
            found["sixty_nodes_hub_percent"] = percent(server, members)
    with waiting_jobs(HELD_JOBS, state="held"):
        found["held_5000_sweep_ms"] = sweep_milliseconds()
    return found


@dataclass
class Member:
    """One idle node: its hooks as they are, on an agent that stands for it."""

    node: Node
    spools: DirectorySpools
    leases: HeldLeases = field(default_factory=HeldLeases)
    beaten: float = float("-inf")

    def __post_init__(self) -> None:
        self.keeper = LeaseHook(lambda _name, _waiting: "", self.leases)
        self.puller = ModelPuller()
        self.agent = cast(
            Agent,
            SimpleNamespace(
                node_id=self.node.pk,
                name=self.node.name,
                instance=self.node.instance,
                boot_id=self.node.boot_id,
                slots=4,
                spools=self.spools,
                capabilities=tuple(self.node.capabilities),
                taking_work=True,
                bar=self.bar,
            ),
        )

    def begin_long_ago(self) -> None:
        """It has reached this start of the server for longer than a lease."""
        sweeper = self.keeper._sweeper
        sweeper._reachable_since = self.leases._since = 0.0
        sweeper._server_started = read_clocks().server_started

    def bar(self, _reasons: Mapping[str, str]) -> None:
        """Nothing is consumed."""

    def tick(self) -> None:
        """What the agent's two threads do in one second."""
        if elapsed_seconds() - self.beaten >= HEARTBEAT_SECONDS:
            self.beaten = elapsed_seconds()
            self.leases.extend(self.agent)
            nodes.beat(self.node.pk, self.node.instance, "", "")
            connection.close()
        self.keeper.on_tick(self.agent)
        self.puller.on_tick(self.agent)
        connection.close()


@contextmanager
def cluster(size: int) -> Iterator[list[Member]]:
    """So many nodes that are online, past the time in which they leave the sweeps to others."""
    with TemporaryDirectory() as directory:
        members = [_member(f"bench-{number}", Path(directory)) for number in range(size)]
        for member in members:
            member.begin_long_ago()
        try:
            yield members
        finally:
            Node.objects.filter(pk__in=[member.node.pk for member in members]).delete()


def _member(name: str, directory: Path) -> Member:
    node = start_node(LAPTOP)
    Node.objects.filter(pk=node.pk).update(name=name)
    node.refresh_from_db()
    return Member(node, DirectorySpools(directory / name))


@contextmanager
def waiting_jobs(count: int, *, state: str) -> Iterator[None]:
    """So many running jobs, each with one unit that no node may claim."""
    jobs = Job.objects.bulk_create(
        Job(
            kind=FAN_OUT.name,
            title="waits",
            needs=["lang:en"],
            created=Now(),
            min_rung=TOO_HIGH if number % 2 else None,
        )
        for number in range(count)
    )
    # Half of them ask for what no node can, the other half for what none can well enough.
    Unit.objects.bulk_create(
        Unit(
            job=job,
            stage="one",
            ordinal=0,
            capability="stt" if job.min_rung else "unheard-of",
            ranked=bool(job.min_rung),
            state=state,
            created=Now(),
        )
        for job in jobs
    )
    _vacuum()
    try:
        yield
    finally:
        Job.objects.filter(pk__in=[job.pk for job in jobs]).delete()
        Sweep.objects.all().delete()


def _vacuum() -> None:
    """As the server does by itself after a while."""
    with connection.cursor() as cursor:
        for model in (Job, Unit, JobEvent):
            cursor.execute(f"VACUUM ANALYZE {model._meta.db_table}")


@contextmanager
def one_server() -> Iterator[psutil.Process]:
    """The process from which all of PostgreSQL's descend."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (backend,) = cursor.fetchone()
    server = psutil.Process(backend).parent()
    if server is None:
        raise SystemExit("PostgreSQL must run on this machine")
    yield server


def percent(server: psutil.Process, members: Sequence[Member]) -> float:
    """Processor time of the server as a percentage of one core, with one tick of each member a second."""
    _tick_for(members, 3.0)
    used, began = _processor_seconds(server), time.monotonic()
    _tick_for(members, SECONDS)
    return round(100 * (_processor_seconds(server) - used) / (time.monotonic() - began), 2)


def _tick_for(members: Sequence[Member], seconds: float) -> None:
    """Spread over each second, as nodes are; a machine that cannot keep up takes longer, which counts as it is."""
    began = time.monotonic()
    for second in range(int(seconds)):
        for number, member in enumerate(members):
            time.sleep(max(0.0, began + second + number / len(members) - time.monotonic()))
            member.tick()
    time.sleep(max(0.0, began + seconds - time.monotonic()))


def _processor_seconds(server: psutil.Process) -> float:
    """Used so far by all its processes, by those too that have ended."""
    total = sum(server.cpu_times()[:4])
    for process in server.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            total += sum(process.cpu_times()[:2])
    return total


def statements_a_second(member: Member) -> float:
    """How many statements one idle node sends, by the server's own count of transactions."""
    before = _transactions()
    _tick_for([member], SECONDS)
    return round((_transactions() - before) / SECONDS, 2)


def _transactions() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()")
        (count,) = cursor.fetchone()
    return int(count)


def sweep_milliseconds() -> float:
    """The median of whole sweeps, the look that takes one among them."""
    look(LEASE_SECONDS)
    taken: list[float] = []
    for _ in range(SWEEPS):
        Sweep.objects.update(swept_at="2000-01-01T00:00:00Z")
        began = time.perf_counter()
        look(LEASE_SECONDS)
        nodes.mark_silent_nodes_offline()
        sweep(read_clocks(), LEASE_SECONDS, None)
        taken.append((time.perf_counter() - began) * 1000)
    return round(statistics.median(taken), 2)
