"""The cluster as Prometheus reads it. Everything is read from the ledger when asked.

So several web processes tell the same, and a restart forgets nothing. What is not known is left out, never zero. No
label holds what a user wrote: kinds, engines and queues are names in the program, nodes are named by whoever runs them.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db import InterfaceError, OperationalError
from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from clustercore import __version__
from clustercore.access.services.audit_verification import chain_state
from clustercore.jobs.domain import counters as names
from clustercore.jobs.selectors.queueing import queue_now
from clustercore.jobs.selectors.totals import (
    EngineUnits,
    counters,
    dead_units,
    queued_by_capability,
    real_time_factors,
    units_by_engine,
)
from clustercore.nodes.domain.node_status import NodeStatus
from clustercore.nodes.domain.queues import queue_for
from clustercore.nodes.models import Node
from clustercore.nodes.selectors import live_capabilities, node_statuses

logger = logging.getLogger(__name__)

BYTES_PER_MB = 1 << 20
Counts = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Exposition:
    """What a scrape gets."""

    body: bytes
    content_type: str


def exposition(accept: str) -> Exposition:
    """All metrics now, in the format that the Accept header prefers (OpenMetrics or Prometheus' text)."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(LedgerCollector())
    encode, content_type = choose_encoder(accept)
    return Exposition(encode(registry), content_type)


class LedgerCollector(Collector):
    """Reads at the moment of the scrape. While the ledger is away it says so, and tells what it knows without."""

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily("clustercore_build", "The version that runs.", value={"version": __version__})
        yield from _disk()
        try:
            found = list(_from_the_ledger())
        except (OperationalError, InterfaceError) as error:
            logger.warning("metrics: %s", error)
            found = []
        yield GaugeMetricFamily("clustercore_ledger_up", "Whether the database answers.", value=float(bool(found)))
        yield from found

    def describe(self) -> Iterable[Metric]:
        return ()


def _from_the_ledger() -> Iterator[Metric]:
    counted, units, nodes = counters(), units_by_engine(), node_statuses()
    yield from _jobs(counted)
    yield from _units(units)
    yield from _queues()
    yield from _nodes(nodes)
    yield from _events(counted)
    holds, _ = chain_state()
    yield GaugeMetricFamily(
        "clustercore_audit_chain_ok", "Whether the audit log is as it was written.", value=float(holds)
    )


def _jobs(counted: Counts) -> Iterator[Metric]:
    submitted = CounterMetricFamily("clustercore_jobs_submitted", "Jobs asked for.", labels=["kind"])
    for (kind,), value in _named(counted, names.SUBMITTED, 1):
        submitted.add_metric([kind], value)
    finished = CounterMetricFamily("clustercore_jobs_finished", "Jobs that ended.", labels=["kind", "outcome"])
    for labels, value in _named(counted, names.FINISHED, 2):
        finished.add_metric(labels, value)
    yield submitted
    yield finished
    yield _job_histogram(
        "clustercore_job_wait_seconds", "From being asked for to the first try.", counted, names.WAITED
    )
    yield _job_histogram("clustercore_job_duration_seconds", "From being asked for to done.", counted, names.TOOK)


def _job_histogram(name: str, about: str, counted: Counts, start: str) -> Metric:
    family = HistogramMetricFamily(name, about, labels=["kind"])
    by_kind: dict[str, dict[str, int]] = {}
    for (kind, part), value in _named(counted, start, 2):
        by_kind.setdefault(kind, {})[part] = value
    for kind, parts in by_kind.items():
        seconds = parts.pop(names.MILLISECONDS, 0) / 1000
        family.add_metric([kind], _cumulated({int(at): n for at, n in parts.items()}, names.JOB_BUCKETS), seconds)
    return family


@dataclass(slots=True)
class _Done:
    """What the units of one kind and engine amount to."""

    by_bucket: dict[int, int]
    seconds: float = 0.0
    sound: float = 0.0


def _units(units: Iterable[EngineUnits]) -> Iterator[Metric]:
    took = HistogramMetricFamily(
        "clustercore_chunk_duration_seconds", "Pieces of work that were done.", labels=["kind", "backend"]
    )
    sound = CounterMetricFamily(
        "clustercore_audio_seconds_processed", "Sound that was heard.", labels=["kind", "backend"]
    )
    for (kind, engine), one in sorted(_done(units).items()):
        took.add_metric([kind, engine], _cumulated(one.by_bucket, names.UNIT_BUCKETS), one.seconds)
        if one.sound:
            sound.add_metric([kind, engine], one.sound)
    yield took
    yield sound
    factor = GaugeMetricFamily(
        "clustercore_realtime_factor", "Seconds of work per second of sound in the last hour.", labels=["backend"]
    )
    for engine, seconds in sorted(real_time_factors().items()):
        factor.add_metric([engine], seconds)
    yield factor


def _done(units: Iterable[EngineUnits]) -> dict[tuple[str, str], _Done]:
    done: dict[tuple[str, str], _Done] = {}
    for row in units:
        one = done.setdefault((row.kind, row.engine), _Done({}))
        one.by_bucket[row.bucket] = one.by_bucket.get(row.bucket, 0) + row.units
        one.seconds += row.seconds
        one.sound += row.audio_seconds
    return done


def _queues() -> Iterator[Metric]:
    waiting = queued_by_capability()
    depth = GaugeMetricFamily("clustercore_queue_depth", "Pieces of work that wait.", labels=["queue"])
    for capability in sorted({*waiting, *live_capabilities()}):
        depth.add_metric([queue_for(capability)], waiting.get(capability, 0))
    yield depth
    oldest = queue_now().oldest_waiting_seconds or 0.0
    yield GaugeMetricFamily(
        "clustercore_oldest_queued_seconds", "How long the oldest piece of work that is due has waited.", value=oldest
    )
    yield GaugeMetricFamily(
        "clustercore_jobs_dead", "Pieces of work that crashed too many workers.", value=dead_units()
    )


def _nodes(nodes: Sequence[NodeStatus]) -> Iterator[Metric]:
    yield _per_node("clustercore_node_up", "Whether the node is heard of.", nodes, lambda node: float(node.is_live))
    yield _per_node(
        "clustercore_node_working",
        "Whether the node takes work.",
        nodes,
        lambda node: float(node.condition in ("online", "idle")),
    )
    yield _per_node("clustercore_node_slots", "How much it does at once.", nodes, lambda node: float(node.slots))
    yield _per_node("clustercore_node_slots_busy", "How much it does now.", nodes, lambda node: float(node.busy))
    yield _per_node(
        "clustercore_node_memory_bytes",
        "Memory of its machine.",
        nodes,
        lambda node: float(node.memory_mb * BYTES_PER_MB),
    )
    memory = GaugeMetricFamily("clustercore_gpu_memory_bytes", "Memory of an accelerator.", labels=["node", "gpu"])
    for name, gpus in Node.objects.order_by("name").values_list("name", "gpus"):
        for number, gpu in enumerate(gpus):
            if gpu.get("memory_mb"):
                memory.add_metric([name, str(number)], gpu["memory_mb"] * BYTES_PER_MB)
    yield memory


def _per_node(name: str, about: str, nodes: Sequence[NodeStatus], value: Callable[[NodeStatus], float]) -> Metric:
    family = GaugeMetricFamily(name, about, labels=["node"])
    for node in nodes:
        family.add_metric([node.name], value(node))
    return family


def _events(counted: Counts) -> Iterator[Metric]:
    for name, about, counter in (
        ("clustercore_lease_expired", "Pieces taken back from silent nodes.", names.EXPIRED),
        ("clustercore_jobs_fenced", "Results that came too late to count.", names.FENCED),
        ("clustercore_results_unknown", "Results whose attempt this ledger does not know.", names.UNKNOWN_RESULTS),
        ("clustercore_results_placed", "Those of them that were taken for an open unit.", names.PLACED_RESULTS),
        ("clustercore_clock_steps", "How often the database's clock was set.", names.CLOCK_STEPS),
    ):
        yield CounterMetricFamily(name, about, value=counted.get(counter, 0))


def _disk() -> Iterator[Metric]:
    directory = settings.DATA_DIR if settings.DATA_DIR.exists() else settings.DATA_DIR.parent
    try:
        usage = shutil.disk_usage(directory)
    except OSError as error:
        logger.warning("metrics: %s", error)
        return
    yield GaugeMetricFamily("clustercore_disk_free_bytes", "Room on the disk of the data directory.", value=usage.free)
    yield GaugeMetricFamily("clustercore_disk_size_bytes", "Size of that disk.", value=usage.total)


def _named(counted: Counts, start: str, parts: int) -> Iterator[tuple[list[str], int]]:
    """The counts whose names begin so and have as many parts after it."""
    for name, value in sorted(counted.items()):
        head, *labels = name.split("/")
        if head == start and len(labels) == parts:
            yield labels, value


def _cumulated(by_bucket: Mapping[int, int], bounds: Sequence[float]) -> list[tuple[str, float]]:
    total = 0
    buckets: list[tuple[str, float]] = []
    for place, bound in enumerate([*bounds, float("inf")]):
        total += by_bucket.get(place, 0)
        buckets.append(("+Inf" if bound == float("inf") else str(bound), float(total)))
    return buckets
