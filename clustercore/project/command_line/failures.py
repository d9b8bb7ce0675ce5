"""Failures that a person can act on, in one line each. Loaded when something failed: it knows every library's."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import psycopg
from django.db.utils import InterfaceError, OperationalError, ProgrammingError
from pydantic import ValidationError
from pydantic_settings import SettingsError

from clustercore.blobs.domain.errors import BlobError, BlobRefused, StoreFull
from clustercore.config.environment import environment
from clustercore.embedded.services import EmbeddedError
from clustercore.project.command_line.usage import explain_usage
from clustercore.terminal.domain.endings import CommandError, ExitCode

UNREACHABLE = (
    "the cluster's database cannot be reached: {reason}\n"
    "Start the cluster with `clustercore up -d`, or set DATABASE_URL and REDIS_URL to what "
    "`clustercore up --listen` printed on the hub; `clustercore doctor` says more."
)
BROKER_UNREACHABLE = (
    "the cluster's Redis cannot be reached: {reason}\n"
    "Check REDIS_URL, and on the hub `clustercore doctor`. What was queued by then is not lost: see `clustercore jobs`."
)


def _message(error: Exception) -> str:
    return str(error)


def _settings_refused(error: Exception) -> str:
    problems = []
    for problem in error.errors() if isinstance(error, ValidationError) else []:
        field = str(problem["loc"][0]) if problem["loc"] else "settings"
        name = field if field.isupper() else f"CLUSTERCORE_{field.upper()}"
        said = problem["msg"].removeprefix("Value error, ")
        # Those whose own checks speak hold passwords, and name themselves.
        own = problem["type"] == "value_error"
        problems.append(said if own else f"{name}: {said} (it is {problem.get('input')!r})")
    return "; ".join(problems)


def _settings_unreadable(error: Exception) -> str:
    field = next(iter(re.findall(r'field "(\w+)"', str(error))), "")
    name = f"CLUSTERCORE_{field.upper()}" if field else "a setting"
    return f"""{name}: this is no JSON; a list is written as '["a", "b"]'"""


def _tables_missing(error: Exception) -> str:
    return f"{_first_line(error)}. The database lacks a table: `clustercore up` makes it."


def _database_away(error: Exception) -> str:
    return UNREACHABLE.format(reason=_first_line(error))


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _not_text(error: Exception) -> str:  # noqa: ARG001
    return "something that was typed is no text in this terminal's encoding: `locale` tells which it is"


EXPECTED: tuple[tuple[tuple[type[Exception], ...], ExitCode, Callable[[Exception], str]], ...] = (
    ((ValidationError,), ExitCode.USAGE, _settings_refused),
    ((SettingsError,), ExitCode.USAGE, _settings_unreadable),
    # What a word was that is no text comes out when it is to be stored; what is written can always be.
    ((UnicodeEncodeError,), ExitCode.USAGE, _not_text),
    ((StoreFull, BlobRefused), ExitCode.FAILED, _message),
    ((EmbeddedError, BlobError), ExitCode.UNREACHABLE, _message),
    ((ProgrammingError,), ExitCode.UNREACHABLE, _tables_missing),
    ((OperationalError, InterfaceError, psycopg.OperationalError), ExitCode.UNREACHABLE, _database_away),
)
"""Kinds of failure that a person can act on, with their exit code and words; the first that fits counts."""


def explain(error: Exception) -> tuple[str, int] | None:
    """Message and exit code of an expected failure; None for a surprise."""
    if isinstance(error, CommandError):
        return error.message, error.code
    for kind, code, words in EXPECTED:
        if isinstance(error, kind):
            return words(error), code
    return explain_usage(error) or _explain_by_name(error)


def _explain_by_name(error: Exception) -> tuple[str, int] | None:
    """What comes from libraries whose exceptions have many bases."""
    for cause in _causes(error):
        if type(cause).__module__.startswith(("kombu.", "redis.")):
            return BROKER_UNREACHABLE.format(reason=_first_line(cause)), ExitCode.UNREACHABLE
    return (str(error), ExitCode.FAILED) if isinstance(error, OSError) else None


def _causes(error: BaseException | None) -> Iterator[Exception]:
    """The error and what it was raised from: Celery wraps a connection that was refused in a RuntimeError."""
    while isinstance(error, Exception):
        yield error
        error = error.__cause__


def debug_is_set() -> bool:
    """Whether CLUSTERCORE_DEBUG asks for tracebacks; not where the settings cannot be read."""
    try:
        return environment().debug
    except (ValidationError, SettingsError):
        return False
