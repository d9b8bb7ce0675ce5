"""The entry point `clustercore`: variables first, then Django, then the command; every expected failure in one line."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterator

import django
import psycopg
from django.core.exceptions import ImproperlyConfigured
from django.db.utils import InterfaceError, OperationalError, ProgrammingError
from pydantic import ValidationError

from clustercore.blobs.domain.errors import BlobError, BlobRefused, StoreFull
from clustercore.config.environment import environment, set_variables
from clustercore.embedded.services import EmbeddedError
from clustercore.project.command_line.console import CommandError, ExitCode, complain
from clustercore.project.command_line.encoding import write_anything
from clustercore.project.command_line.startup import (
    CommandLine,
    data_directory_variable,
    parse_command_line,
    variables_of,
)

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


def _tables_missing(error: Exception) -> str:
    return f"{_first_line(error)}. The database lacks a table: `clustercore up` makes it."


def _database_away(error: Exception) -> str:
    return UNREACHABLE.format(reason=_first_line(error))


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


EXPECTED: tuple[tuple[tuple[type[Exception], ...], ExitCode, Callable[[Exception], str]], ...] = (
    ((ValidationError,), ExitCode.USAGE, _settings_refused),
    ((StoreFull, BlobRefused), ExitCode.FAILED, _message),
    ((EmbeddedError, BlobError), ExitCode.UNREACHABLE, _message),
    ((ProgrammingError,), ExitCode.UNREACHABLE, _tables_missing),
    ((OperationalError, InterfaceError, psycopg.OperationalError), ExitCode.UNREACHABLE, _database_away),
)
"""Kinds of failure that a person can act on, with their exit code and words; the first that fits counts."""


def main() -> None:
    """Runs what was typed and ends the process with an exit code of `console.ExitCode`."""
    write_anything()
    line = parse_command_line(sys.argv[1:])
    sys.exit(guarded(lambda: run(line), debug=line.debug))


def run(line: CommandLine) -> int:
    """One command, in the environment that its flags make."""
    set_variables(data_directory_variable(line))
    set_variables(variables_of(line, environment()))
    return start(line)


def start(line: CommandLine) -> int:
    """Sets Django up, then imports what needs it: the settings are read from the variables set by now."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "clustercore.project.settings")
    try:
        django.setup()
    except (ImproperlyConfigured, ValueError) as error:
        raise CommandError(str(error), ExitCode.USAGE) from error
    # Celery tasks bind to the application that is imported first.
    import clustercore.project.celery  # noqa: F401
    from clustercore.project.command_line.application import application

    result = application(args=list(line.words), prog_name="clustercore", standalone_mode=False)
    return result if isinstance(result, int) else ExitCode.DONE


def guarded(command: Callable[[], int], *, debug: bool) -> int:
    """The command's exit code, or that of its expected failure, which is told in words."""
    try:
        return command()
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has read enough; the interpreter must not complain while it closes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.DONE
    except Exception as error:
        return report(error, debug=debug or _debug_is_set())


def report(error: Exception, *, debug: bool) -> int:
    """Says what went wrong; the traceback only where it is a bug or was asked for."""
    known = explain(error)
    if debug or known is None:
        traceback.print_exception(error)
    if known is None:
        complain(f"unexpected: {type(error).__name__}: {error}. This is a bug in clustercore.")
        return ExitCode.FAILED
    message, code = known
    if message:
        complain(message)
    return code


def explain(error: Exception) -> tuple[str, int] | None:
    """Message and exit code of an expected failure; None for a surprise."""
    if isinstance(error, CommandError):
        return error.message, error.code
    for kind, code, words in EXPECTED:
        if isinstance(error, kind):
            return words(error), code
    return _explain_by_name(error)


def _explain_by_name(error: Exception) -> tuple[str, int] | None:
    """What comes from libraries whose exceptions have many bases."""
    if hasattr(error, "format_message"):
        return _usage(error)
    if type(error).__name__ in ("Exit", "Abort"):
        return "", int(getattr(error, "exit_code", ExitCode.INTERRUPTED))
    for cause in _causes(error):
        if type(cause).__module__.startswith(("kombu.", "redis.")):
            return BROKER_UNREACHABLE.format(reason=_first_line(cause)), ExitCode.UNREACHABLE
    return (str(error), ExitCode.FAILED) if isinstance(error, OSError) else None


def _causes(error: BaseException | None) -> Iterator[Exception]:
    """The error and what it was raised from: Celery wraps a connection that was refused in a RuntimeError."""
    while isinstance(error, Exception):
        yield error
        error = error.__cause__


def _usage(error: Exception) -> tuple[str, int]:
    context = getattr(error, "ctx", None)
    where = f"\nTry `{context.command_path} --help`." if context is not None else ""
    message = error.format_message().replace("Value error, ", "")  # type: ignore[attr-defined]
    return f"{message}{where}", int(getattr(error, "exit_code", ExitCode.USAGE))


def _debug_is_set() -> bool:
    try:
        return environment().debug
    except ValidationError:
        return False


if __name__ == "__main__":
    main()
