"""A failure that comes back every second is logged once until it changes: it must fill no disk."""

from __future__ import annotations

import logging


class RepeatedFailures:
    """What failed last, by the name of what was tried."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._told: dict[str, str] = {}

    def tell(self, what: str, error: Exception) -> None:
        """Logs it with its traceback, unless it is the same as the last time."""
        if self._told.get(what) != repr(error):
            self._logger.error("%s failed", what, exc_info=error)
        self._told[what] = repr(error)

    def over(self, what: str) -> None:
        """It went well: the next failure is told again."""
        self._told.pop(what, None)
