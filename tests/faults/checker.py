"""Judges a run as Jepsen's `total-queue` judges a queue: what was accepted must come out, once, and as if undisturbed.

Pure: it is given what was asked for, what the ledger says and what the engines really did.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import quantiles

TERMINAL = ("done", "failed", "cancelled", "dead")


@dataclass(frozen=True, slots=True)
class UnitSeen:
    """A unit as the ledger has it at the end."""

    unit: int
    job: int
    stage: str
    state: str
    attempts: int
    strikes: int
    blob: str = ""


@dataclass(frozen=True, slots=True)
class JobSeen:
    """A job at the end: the words of its transcript, the words that were spoken, and the hash of its text."""

    job: int
    state: str
    heard: tuple[str, ...]
    spoken: tuple[str, ...]
    sha256: str
    undisturbed_sha256: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the checker counts. `recovery_*` in seconds; times begun are executions by the engines themselves."""

    attempted: int
    acked: int
    terminal: int
    lost: int
    unexpected: int
    units: int
    unit_executions: int
    units_executed_again: int
    duplicate_results: int
    recovered: int
    recovery_p50_s: float | None
    recovery_p95_s: float | None
    sha_equal: bool
    states: Mapping[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        """For the results file."""
        return asdict(self)

    def assert_unharmed(self) -> None:
        """Nothing lost, nothing that nobody asked for, nothing twice, and the text of an undisturbed run."""
        harm = (self.attempted - self.acked, self.lost, self.unexpected, self.duplicate_results)
        assert harm == (0, 0, 0, 0), self
        assert self.sha_equal, self


def judge(
    attempted: int,
    jobs: Sequence[JobSeen],
    units: Sequence[UnitSeen],
    begun: Mapping[str, int],
    recoveries: Sequence[float],
) -> Judgement:
    """`begun` says how often engines began each piece, by the piece's hash; `recoveries` are seconds from loss to a
    second lease."""
    pieces = [unit for unit in units if unit.stage == "transcribe"]
    executions = sum(begun.get(unit.blob, 0) for unit in pieces)
    finished = [job for job in jobs if job.state == "done"]
    terminal = [job for job in jobs if job.state in TERMINAL]
    open_units = [unit for unit in units if unit.state not in TERMINAL]
    words_lost = sum(len(missing(job.spoken, job.heard)) for job in finished)
    return Judgement(
        attempted=attempted,
        acked=len(jobs),
        terminal=len(terminal),
        lost=len(jobs) - len(terminal) + len(open_units) + words_lost,
        unexpected=sum(1 for job in finished for word in set(job.heard) if word not in job.spoken),
        units=len(units),
        unit_executions=executions,
        units_executed_again=executions - len(pieces),
        duplicate_results=sum(len(missing(job.heard, tuple(dict.fromkeys(job.heard)))) for job in finished),
        recovered=sum(1 for unit in units if unit.attempts > 1 and unit.state == "done"),
        recovery_p50_s=percentile(recoveries, 50),
        recovery_p95_s=percentile(recoveries, 95),
        sha_equal=bool(finished) and all(job.sha256 == job.undisturbed_sha256 for job in finished),
        states=dict(Counter(unit.state for unit in units)),
    )


def missing(wanted: Sequence[str], found: Sequence[str]) -> list[str]:
    """What is in `wanted` oftener than in `found`."""
    return list((Counter(wanted) - Counter(found)).elements())


def percentile(values: Sequence[float], percent: int) -> float | None:
    """The percentile of some seconds, to the millisecond; None of none."""
    if len(values) < 2:
        return round(values[0], 3) if values else None
    return round(quantiles(values, n=100, method="inclusive")[percent - 1], 3)
