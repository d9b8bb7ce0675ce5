"""What an error of the database means for whoever asked: it is away, or only busy with somebody else's work."""

from __future__ import annotations

from enum import StrEnum

BUSY_STATES = frozenset({"55P03", "40P01", "40001", "57014"})
"""lock_not_available, deadlock_detected, serialization_failure, query_canceled."""


READ_ONLY = "25006"
"""read_only_sql_transaction: a server that takes no writes now, as a standby, or after its disk was full."""
_REFUSED_STATES = frozenset({READ_ONLY, "25P03", "25P04"})
"""And idle_in_transaction_session_timeout, transaction_timeout: with the transaction its session has ended."""


class DatabaseTrouble(StrEnum):
    """What may be wrong where a statement was sent and not done."""

    AWAY = "away"
    """It does not answer, or takes nobody: what is to be written is kept until it is back."""
    BUSY = "busy"
    """It answers, and somebody else was in the way: the same is asked again soon."""


def database_trouble(error: BaseException) -> DatabaseTrouble:
    """Classifies what a driver raised for a connection or a statement, by its SQLSTATE.

    Whatever is not known to pass by itself counts as absence: a lost connection has no SQLSTATE at all, nor has a pool
    that gives none, and a server that stops, starts or is full has classes of its own.
    """
    return DatabaseTrouble.BUSY if sqlstate_of(error) in BUSY_STATES else DatabaseTrouble.AWAY


def is_busy(error: BaseException) -> bool:
    """Whether the database answers, and the same may be asked again at once."""
    return database_trouble(error) is DatabaseTrouble.BUSY


def is_refused_for_now(error: BaseException) -> bool:
    """Whether nothing is wrong with the statement, although the driver files the error with those of the server's own
    doing; it counts as absence."""
    return sqlstate_of(error) in _REFUSED_STATES


def absence_in_words(error: BaseException) -> str:
    """What a database does that is away, or as good as away."""
    return "takes no writes now" if sqlstate_of(error) == READ_ONLY else "does not answer"


def sqlstate_of(error: BaseException) -> str:
    """The code that PostgreSQL gave the error or what it comes from; empty where there is none."""
    cause: BaseException | None = error
    while cause is not None:
        if state := getattr(cause, "sqlstate", None):
            return str(state)
        cause = cause.__cause__
    return ""
