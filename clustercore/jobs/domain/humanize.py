"""How figures and states read to a person: lengths of time, and which of five tones a state has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from clustercore.jobs.domain.line import LINE_JOBS, Place
from clustercore.terminal.domain.humanize import clock_words, factor_words

GOOD, GOING, WAITING, BAD, QUIET = "good", "going", "waiting", "bad", "quiet"
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_EXACT_BELOW = 10


@dataclass(frozen=True, slots=True)
class Look:
    """How a state shows itself: one of five tones, an icon (so that colour is not all), and a word."""

    tone: str
    icon: str
    word: str


_LOOKS: Mapping[str, Look] = {
    # Jobs and units.
    "running": Look(GOING, "play", "running"),
    "leased": Look(GOING, "play", "running"),
    "queued": Look(QUIET, "clock", "queued"),
    "asking": Look(WAITING, "person", "waits for you"),
    "waiting": Look(WAITING, "clock", "waiting"),
    "held": Look(WAITING, "pause", "held"),
    "paused": Look(WAITING, "pause", "paused"),
    "done": Look(GOOD, "check", "done"),
    "failed": Look(BAD, "cross", "failed"),
    "dead": Look(BAD, "cross", "given up"),
    "cancelled": Look(QUIET, "stop", "cancelled"),
    "gaps": Look(WAITING, "alert", "done, with gaps"),
    "blocked": Look(QUIET, "clock", "waits for others"),
    "skipped": Look(QUIET, "leave", "skipped"),
    "overdue": Look(BAD, "clock", "overdue"),
    # Attempts.
    "live": Look(GOING, "play", "running"),
    "retry": Look(WAITING, "retry", "tried again"),
    "expired": Look(BAD, "clock", "lost: no sign of life"),
    "crashed": Look(BAD, "cross", "crashed"),
    "handed_back": Look(WAITING, "leave", "handed back"),
    "unknown": Look(WAITING, "alert", "outcome unknown"),
    "superseded": Look(QUIET, "stop", "superseded"),
    # Nodes.
    "online": Look(GOOD, "check", "ready"),
    "idle": Look(WAITING, "clock", "not needed now"),
    "draining": Look(WAITING, "pause", "finishing, then drained"),
    "drained": Look(QUIET, "pause", "drained"),
    "offline": Look(QUIET, "stop", "offline"),
}


def look_of(state: str) -> Look:
    """A state's look; one that is not known reads as it is written."""
    return _LOOKS.get(state) or Look(QUIET, "dot", state.replace("_", " "))


def ended_words(state: str, gaps: int) -> str:
    """How a job ended: `done`, or `done, with 2 gaps`."""
    return f"{state}, with {gaps} gap{'' if gaps == 1 else 's'}" if gaps else str(state)


def duration_words(seconds: float | None) -> str:
    """A length of time in at most two units: `4.2 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`; a dash for None."""
    if seconds is None:
        return "—"
    seconds = max(0.0, seconds)
    if 0 < seconds < _EXACT_BELOW:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    for unit, smaller, names in ((_DAY, _HOUR, ("d", "h")), (_HOUR, _MINUTE, ("h", "min")), (_MINUTE, 1, ("min", "s"))):
        if whole >= unit:
            first, rest = divmod(whole, unit)
            second = rest // smaller
            return f"{first} {names[0]} {second} {names[1]}" if second else f"{first} {names[0]}"
    return f"{whole} s"


def about(seconds: float | None) -> str:
    """A guess, as coarse as it deserves, so that it does not jitter: `under a minute`, `about 12 min`."""
    if seconds is None:
        return ""
    if seconds < _MINUTE:
        return "under a minute"
    if seconds < 10 * _MINUTE:
        return f"about {round(seconds / _MINUTE)} min"
    if seconds < 2 * _HOUR:
        return f"about {round(seconds / (5 * _MINUTE)) * 5} min"
    return f"about {round(seconds / _HOUR)} h"


def speed_words(speed: float | None) -> str:
    """How much faster than the sound itself: `12x real time`; empty when not known."""
    return f"{factor_words(speed, 'x')} real time" if speed is not None else ""


def ordinal_words(number: int) -> str:
    """`1st`, `2nd`, `12th`."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def place_words(place: Place | None) -> str:
    """Where a job waits: `12th in line, starts in about 9 min`; empty for one that is not in line."""
    if place is None:
        return ""
    if place.number > LINE_JOBS:
        return f"more than {LINE_JOBS} jobs before it"
    starts = place.starts_in_seconds
    when = "start unknown" if starts is None else f"starts in {about(starts)}" if starts else "starts now"
    return f"{ordinal_words(place.number)} in line, {when}"


def took_words(waited: float, worked: float, speed: float | None) -> str:
    """How long something took: `waited 1:38, worked 0:03 (8.7×)`."""  # noqa: RUF002
    factor = f" ({factor_words(speed)})" if speed is not None else ""
    return f"waited {clock_words(waited)}, worked {clock_words(worked)}{factor}"
