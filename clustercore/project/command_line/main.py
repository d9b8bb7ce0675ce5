"""The entry point `clustercore`: variables first, then what the command needs, then the command itself."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable

from clustercore.config.adapters.plugins import load
from clustercore.project.command_line.application import application
from clustercore.project.command_line.startup import CommandLine, parse_command_line
from clustercore.project.command_line.usage import explain_usage
from clustercore.terminal.adapters.console import complain
from clustercore.terminal.adapters.encoding import write_anything
from clustercore.terminal.adapters.privacy import keep_private
from clustercore.terminal.domain.commands import Needs
from clustercore.terminal.domain.endings import ExitCode

EXPLAIN = "clustercore.project.command_line.failures:explain"
DEBUG_IS_SET = "clustercore.project.command_line.failures:debug_is_set"
PREPARE = "clustercore.project.command_line.preparing:prepare"
BUG = "This is a bug in clustercore."


def main() -> None:
    """Runs what was typed and ends the process with an exit code of `console.ExitCode`."""
    write_anything()
    keep_private()
    line = parse_command_line(sys.argv[1:])
    sys.exit(guarded(lambda: run(line), debug=line.debug))


def run(line: CommandLine) -> int:
    """Runs one command, in the environment that its flags make."""

    def prepare(needs: Needs) -> None:
        if needs is not Needs.NOTHING:
            load(PREPARE)(line, needs)

    result = application(args=list(line.words), prog_name="clustercore", standalone_mode=False, obj=prepare)
    return result if isinstance(result, int) else ExitCode.DONE


def guarded(command: Callable[[], int], *, debug: bool) -> int:
    """Returns the command's exit code, or that of its expected failure, which is told in words."""
    try:
        return command()
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has read enough; the interpreter must not complain while it closes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.DONE
    except Exception as error:
        return report(error, debug=debug)


def report(error: Exception, *, debug: bool) -> int:
    """Says what went wrong; the traceback only where it is a bug or was asked for. Returns the exit code."""
    known: tuple[str, int] | None = explain_usage(error)
    if known is None:
        known, debug = load(EXPLAIN)(error), debug or load(DEBUG_IS_SET)()
    if known is None or debug:
        traceback.print_exception(error)
    if known is None:
        complain(f"unexpected: {type(error).__name__}: {error}. {BUG}")
        return ExitCode.FAILED
    message, code = known
    if message:
        complain(message)
    return int(code)


if __name__ == "__main__":
    main()
