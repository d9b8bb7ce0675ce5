"""Whether a database that did not do what it was asked is away or busy."""

from __future__ import annotations

import psycopg
import pytest
from django.db import InterfaceError, OperationalError
from psycopg_pool import PoolTimeout

from clustercore.embedded.domain.database_trouble import (
    DatabaseTrouble,
    absence_in_words,
    database_trouble,
    is_busy,
    is_refused_for_now,
)


def wrapped(cause: Exception) -> OperationalError:
    """As Django raises what its driver did."""
    error = OperationalError(str(cause))
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "cause",
    [
        psycopg.errors.LockNotAvailable("lock timeout"),
        psycopg.errors.DeadlockDetected("deadlock"),
        psycopg.errors.SerializationFailure("could not serialize"),
        psycopg.errors.QueryCanceled("statement timeout"),
    ],
)
def test_whoever_was_in_the_way_of_another_only_has_to_ask_again(cause: psycopg.Error) -> None:
    assert database_trouble(wrapped(cause)) is DatabaseTrouble.BUSY
    assert is_busy(cause)


@pytest.mark.parametrize(
    "error",
    [
        OperationalError("the connection is lost"),
        InterfaceError("connection already closed"),
        PoolTimeout("couldn't get a connection after 5.00 sec"),
        ConnectionRefusedError(111, "refused"),
        wrapped(psycopg.errors.ConnectionFailure("08006")),
        wrapped(psycopg.errors.AdminShutdown("57P01")),
        wrapped(psycopg.errors.CrashShutdown("57P02")),
        wrapped(psycopg.errors.CannotConnectNow("57P03")),
        wrapped(psycopg.errors.TooManyConnections("53300")),
        wrapped(psycopg.errors.ReadOnlySqlTransaction("25006")),
    ],
)
def test_whoever_does_not_answer_or_takes_nobody_is_away(error: Exception) -> None:
    assert database_trouble(error) is DatabaseTrouble.AWAY


@pytest.mark.parametrize(
    ("cause", "is_refused", "words"),
    [
        (psycopg.errors.ReadOnlySqlTransaction("25006"), True, "takes no writes now"),
        (psycopg.errors.IdleInTransactionSessionTimeout("25P03"), True, "does not answer"),
        (psycopg.errors.TransactionTimeout("25P04"), True, "does not answer"),
        (psycopg.errors.InFailedSqlTransaction("25P02"), False, "does not answer"),
        (psycopg.errors.UndefinedTable("42P01"), False, "does not answer"),
        (ValueError("a bug"), False, "does not answer"),
    ],
)
def test_what_is_refused_for_now_is_told_from_what_is_wrong(cause: Exception, is_refused: bool, words: str) -> None:
    assert (is_refused_for_now(cause), absence_in_words(wrapped(cause))) == (is_refused, words)
