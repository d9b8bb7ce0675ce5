"""Why there is no text of some pieces of a recording, in words for a person."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from clustercore.jobs.domain.lifecycle import OPEN_UNIT_STATES, UnitState
from transcription.domain.sampling import SAMPLE_RATE
from transcription.domain.transcript import Gap, beginning, one_line

REASON_CHARACTERS = 300
AGAIN = "is being tried again"
_WORDS = {
    UnitState.FAILED: "could not be heard",
    UnitState.DEAD: "could not be heard",
    UnitState.OVERDUE: "was not heard in time",
    UnitState.SKIPPED: "was skipped",
    UnitState.CANCELLED: "was cancelled",
}
_REMEDY = ". `clustercore "
"""What to type stands in the job's own words; whoever reads a transcript cannot type it."""


@dataclass(frozen=True, slots=True)
class UnheardPiece:
    """A piece (samples at 16 kHz) of which nothing was heard, with its unit's state and error."""

    start_sample: int
    end_sample: int
    state: str
    error: str = ""


def gaps_of(pieces: Iterable[UnheardPiece]) -> tuple[Gap, ...]:
    """The gaps that unheard pieces, given in order, leave in a transcript; neighbours are one gap."""
    runs: list[list[UnheardPiece]] = []
    for piece in pieces:
        if runs and runs[-1][-1].end_sample >= piece.start_sample:
            runs[-1].append(piece)
        else:
            runs.append([piece])
    return tuple(_gap(run) for run in runs)


def _gap(run: list[UnheardPiece]) -> Gap:
    reasons = dict.fromkeys(reason_of(piece.state, piece.error) for piece in run)
    reason = beginning("; ".join(reasons), REASON_CHARACTERS)
    return Gap(run[0].start_sample / SAMPLE_RATE, run[-1].end_sample / SAMPLE_RATE, reason)


def reason_of(state: str, error: str) -> str:
    """Why nothing was heard in a piece: `could not be heard: it crashed its worker 3 times …`."""
    if state in OPEN_UNIT_STATES:
        return AGAIN
    words = _WORDS[UnitState(state)]
    cause = one_line(error.partition(_REMEDY)[0]).rstrip(".")
    return beginning(f"{words}: {cause}", REASON_CHARACTERS) if cause else words
