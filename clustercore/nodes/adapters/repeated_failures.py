"""A failure that comes back every second is logged once until it changes: it must fill no disk."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import NamedTuple

REWORDED_SECONDS = 60.0
"""How often the same failure is told whose words differ: they may name a key, a time or a number."""


class Origin(NamedTuple):
    """What was raised, and where."""

    kind: type[BaseException]
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class _Told:
    origin: Origin
    words: str
    at: float

    def is_told_by(self, last: _Told | None) -> bool:
        if last is None or last.origin != self.origin:
            return False
        return last.words == self.words or self.at - last.at < REWORDED_SECONDS


class RepeatedFailures:
    """What failed last, by the name of what was tried."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._told: dict[str, _Told] = {}

    def tell(self, what: str, error: Exception) -> None:
        """Logs it with its traceback, unless it is the same as the last time; one that differs in its words alone, at
        most once a minute."""
        now = _Told(origin_of(error), repr(error), time.monotonic())
        if not now.is_told_by(self._told.get(what)):
            self._logger.error("%s failed", what, exc_info=error)
            self._told[what] = now

    def over(self, what: str) -> None:
        """It went well: the next failure is told again."""
        self._told.pop(what, None)


def origin_of(error: BaseException) -> Origin:
    """The type of an error, and the file and line of its innermost frame."""
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    return Origin(type(error), at.tb_frame.f_code.co_filename if at else "", at.tb_lineno if at else 0)
