"""What processes tell each other: which jobs have changed, and which of them are over or gone."""

from __future__ import annotations

import re
from collections.abc import Mapping

Changes = Mapping[int, bool]
"""Jobs that have changed, each with whether it is over; one that was removed is."""

MOST_IN_A_MESSAGE = 500
_ONE = re.compile(r"([1-9][0-9]{0,17})(!?)")


def messages_of(changes: Changes) -> list[str]:
    """Returns texts such as `7 9! 12`, which say that job 9 is over."""
    words = [f"{job_id}{'!' if is_over else ''}" for job_id, is_over in sorted(changes.items())]
    return [" ".join(words[at : at + MOST_IN_A_MESSAGE]) for at in range(0, len(words), MOST_IN_A_MESSAGE)]


def changes_in(message: str) -> Changes:
    """Returns what a message says; what is no number of a job is passed over."""
    found = (_ONE.fullmatch(word) for word in message.split(maxsplit=MOST_IN_A_MESSAGE)[:MOST_IN_A_MESSAGE])
    return {int(one[1]): bool(one[2]) for one in found if one is not None}
