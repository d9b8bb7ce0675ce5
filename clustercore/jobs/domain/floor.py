"""The floor of a job: the lowest rung that may serve it, so that a guess never stands between good sentences.

It is one below the best that any node of the cluster holds (the best itself where accuracy is critical), whether that
node takes work at the moment or not. It is decided once, when the job may first be served, and kept: a node that rests
for a while, or one that joins later, changes nothing. It falls only when nobody who takes work has reached it for long,
and to the lowest rung when the wait is over that somebody asked for (`accept_lower_after`).
"""

from __future__ import annotations

from dataclasses import dataclass

from clustercore.jobs.domain.humanize import duration_words


@dataclass(frozen=True, slots=True)
class FloorSeen:
    """A running job that waits for nodes of some rung, and the nodes that there are for it."""

    job_id: int
    floor: int | None
    """None as long as it is not decided."""
    is_critical: bool
    best_there: int | None
    """The best rung among all nodes that are online, held or not."""
    best_taking: int | None
    """The best rung among those that take work now."""
    unserved_seconds: float | None
    """For how long none of these has reached the floor; None while one does."""
    any_serves: bool = False
    """Whether the wait is over after which any rung may serve, as somebody asked."""


@dataclass(frozen=True, slots=True)
class FloorKept:
    """What holds for the job from now on."""

    floor: int | None
    is_unserved: bool = False


def next_floor(seen: FloorSeen, wait_seconds: float, *, may_fall: bool) -> FloorKept:
    """Decides the floor, keeps it, or lets it fall after the wait: `may_fall` where all nodes had the time to beat."""
    if seen.any_serves:
        return FloorKept(0)
    if seen.floor is None:
        return FloorKept(_floor_below(seen.best_there, seen))
    if seen.best_taking is not None and seen.best_taking >= seen.floor:
        return FloorKept(seen.floor)
    waited_enough = seen.unserved_seconds is not None and seen.unserved_seconds >= wait_seconds
    if may_fall and waited_enough and seen.best_taking is not None:
        return FloorKept(_floor_below(seen.best_taking, seen))
    return FloorKept(seen.floor, is_unserved=True)


def _floor_below(best: int | None, seen: FloorSeen) -> int | None:
    return None if best is None else max(0, best - (0 if seen.is_critical else 1))


WAITED_AS_ASKED = "the wait that was asked for is over: any rung may serve from now on"
"""What the job's story tells when any rung may serve."""


def floor_fell(before: int, now: int, wait_seconds: float) -> str:
    """What the job's story tells when its floor falls."""
    waited = duration_words(wait_seconds)
    return f"no node of rung {before} or better took work for {waited}: rung {now} and better may serve from now on"
