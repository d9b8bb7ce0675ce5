"""Which language a recording is in, from what was heard in one piece of it after another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

UNKNOWN_LANGUAGE = ""
"""The language of a job in which nobody was heard to speak. Not None, which is "not decided yet"."""
SURE = 0.5
"""From this probability on a language is believed at once."""
MOST_UNSURE = 3
"""After so many pieces of doubtful language the most probable one is taken."""
MOST_ASKED = 30
"""After so many pieces, of music or noise say, no further one is asked about."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What one piece was heard to be in: `language` None where nobody spoke, `probability` None where not told."""

    language: str | None
    probability: float | None = None


def decided_language(heard: Sequence[Heard], *, is_last: bool) -> str | None:
    """The language by what was heard so far; None: another piece must be heard, which there is unless `is_last`."""
    spoken = [one for one in heard if one.language]
    sure = [one for one in spoken if one.probability is None or one.probability >= SURE]
    if sure:
        return sure[0].language
    if is_last or len(spoken) >= MOST_UNSURE or len(heard) >= MOST_ASKED:
        return max(spoken, key=lambda one: one.probability or 0.0, default=Heard(UNKNOWN_LANGUAGE)).language
    return None
