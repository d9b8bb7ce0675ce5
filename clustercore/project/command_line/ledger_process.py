"""The process that `up` asks about the ledger: it has Django, so that the one that goes on needs none.

Lines of JSON: `{"question": name, "with": {…}}`, then `{"answer": …}` or `{"failure": [message, exit code]}`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

from clustercore.config.interpreter import child_variables, python_command
from clustercore.project.command_line.processes import apart, keyless_variables
from clustercore.terminal.domain.endings import CommandError, ExitCode

_ANSWER = "from clustercore.project.command_line.ledger_answers import main; main()"
_END_SECONDS = 5.0


class LedgerProcess:
    """Answers questions until it is closed; from one thread."""

    def __init__(self) -> None:
        self._process = _started()

    def ask(self, question: str, **values: Any) -> Any:
        """Returns the answer of `ledger_answers`. Raises CommandError with what went wrong there.

        One that ended without an answer, killed for memory say, is started again once: every question may be repeated.
        """
        asked = json.dumps({"question": question, "with": values}) + "\n"
        line = self._answer_to(asked)
        if not line:
            self.close()
            self._process = _started()
            line = self._answer_to(asked)
        if not line:
            raise CommandError(f"the process that asks the database ended (exit code {self._process.wait()})")
        answered = json.loads(line)
        if "failure" in answered:
            message, code = answered["failure"]
            raise CommandError(message, ExitCode(code))
        return answered["answer"]

    def _answer_to(self, asked: str) -> bytes:
        """A whole line, or nothing from a process that has ended."""
        line = b""
        with suppress(BrokenPipeError):
            _open(self._process.stdin).write(asked.encode())
            _open(self._process.stdin).flush()
            line = _open(self._process.stdout).readline()
        return line if line.endswith(b"\n") else b""

    def interrupt(self) -> None:
        """Ends it in the middle of a question: the ledger takes back what was not committed."""
        self._process.terminate()
        self.close()

    def close(self) -> None:
        """Ends it; safe to call twice."""
        with suppress(BrokenPipeError):
            _open(self._process.stdin).close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        _open(self._process.stdout).close()


@contextmanager
def ledger_process() -> Iterator[LedgerProcess]:
    """Runs one for the block, or until it is closed. One that is interrupted is not waited for."""
    process = LedgerProcess()
    try:
        yield process
    except BaseException:
        process.interrupt()
        raise
    process.close()


def migrate_apart() -> str:
    """Brings the database to this version, of every table, also where this process knows of a few. Raises CommandError.

    Of several processes one does it and the others wait for it. Returns what is to be told of it, if anything.
    """
    with ledger_process() as ledger:
        return str(ledger.ask("migrate"))


def _started() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        python_command("-c", _ANSWER),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=child_variables(keyless_variables()),
        **apart(),
    )


def _open(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise ValueError(f"{sys.executable} was started with both pipes")
    return stream
