"""Which errors mean that the machine is short of something just now."""

from __future__ import annotations

import errno

import psycopg
import pytest
from django.db import OperationalError

from clustercore.embedded.domain.shortage import ResourceShortage, database_shortage, shortage_in, shortage_told


@pytest.mark.parametrize(
    ("number", "lacking"),
    [
        (errno.ENOSPC, "disk space"),
        (errno.EDQUOT, "disk quota"),
        (errno.ENOMEM, "memory"),
        (errno.EMFILE, "file descriptors"),
        (errno.ENFILE, "file descriptors"),
    ],
)
def test_an_error_of_the_system_says_what_is_lacking(number: int, lacking: str) -> None:
    assert shortage_in(OSError(number, "…")) == f"no {lacking} left"


def test_the_cause_of_an_error_counts_as_the_error_itself() -> None:
    told = RuntimeError("a piece cannot be written")
    told.__cause__ = OSError(errno.ENOSPC, "…")
    assert shortage_in(told) == "no disk space left"


def test_memory_that_an_engine_could_not_get_is_the_engines_own_to_tell() -> None:
    told = RuntimeError("the model is too large for this machine")
    told.__cause__ = MemoryError()
    assert (shortage_in(told), shortage_in(MemoryError())) == ("", "no memory left")


def test_other_errors_are_no_shortage() -> None:
    assert shortage_in(PermissionError(errno.EACCES, "…")) == shortage_in(ValueError("no disk space left")) == ""
    assert shortage_in(ResourceShortage("no disk space left")) == "no disk space left"


def test_what_a_server_says_before_it_ends_tells_the_shortage() -> None:
    last = 'FATAL:  could not write lock file "postmaster.pid": No space left on device'
    assert shortage_told(last) == "no disk space left"
    assert shortage_told("FATAL:  invalid primary checkpoint record") == ""


def test_a_shortage_of_the_database_is_told_in_its_own_words() -> None:
    wrapped = OperationalError("…")
    wrapped.__cause__ = psycopg.errors.DiskFull('could not extend file "base/1"\nHINT: …')
    assert database_shortage(wrapped) == 'waits: could not extend file "base/1"'
    assert database_shortage(OperationalError("the connection is lost")) == ""
