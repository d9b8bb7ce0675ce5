"""One life of a program: a child process that dies with its supervisor, and whose words are kept."""

from __future__ import annotations

import asyncio
import logging
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import Callable
from contextlib import ExitStack, suppress

from clustercore.embedded.adapters.processes import end_leftovers, tied_to_parent
from clustercore.embedded.adapters.program import Program
from clustercore.embedded.domain.accounts import identity_of

LOG = logging.getLogger("clustercore.embedded")
LONGEST_LINE = 1_000_000
"""Bytes; what a program says without a line end beyond that is dropped."""

_LAST_WORDS_SECONDS = 0.5


class ProgramProcess:
    """A program that was started. `hear` gets its lines, where they are read at all (`Program.tells_of_shortage`)."""

    def __init__(self, program: Program, process: Process, hear: Callable[[str], None]) -> None:
        self.pid = process.pid
        self._program, self._process = program, process
        self._reader = asyncio.create_task(_read_lines(process.stdout, hear))

    @property
    def is_running(self) -> bool:
        """Whether it has not ended, as far as is known."""
        return self._process.returncode is None

    async def wait(self) -> int:
        """Returns its exit code when it has ended and its last words have been heard."""
        code = await self._process.wait()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._reader, _LAST_WORDS_SECONDS)
        LOG.info("%s ended with %s", self._program.name, code)
        return code

    async def end(self) -> None:
        """Ends it cleanly; harder after each signal's patience."""
        for number, patience in self._program.stop_signals:
            self._send(number)
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._process.wait()), patience)
                return

    def hurry(self) -> None:
        """Sends the first signal, once more perhaps: to a node that means to end at once."""
        self._send(self._program.stop_signals[0][0])

    def _send(self, number: int) -> None:
        with suppress(ProcessLookupError):
            self._process.send_signal(number)


async def start(program: Program, hear: Callable[[str], None]) -> ProgramProcess:
    """Starts a program, where nothing is left of an earlier one. Raises OSError."""
    first_signal, account = program.stop_signals[0][0], program.account
    if program.directory is not None and program.process_names:
        ended = await end_leftovers(program.directory, program.process_names, first_signal)
        if ended:
            LOG.warning("ended %d processes of an earlier %s", ended, program.name)
    command, text = program.prepare()
    with ExitStack() as stack:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=PIPE,
            stdout=PIPE if program.tells_of_shortage else stack.enter_context(program.log.open("ab")),
            stderr=STDOUT,
            env=program.environment,
            cwd=program.directory,
            # Ctrl-C in a terminal reaches every process of its group: it is for the supervisor alone.
            start_new_session=True,
            preexec_fn=tied_to_parent(first_signal),
            **identity_of(account),
        )
    assert process.stdin is not None
    process.stdin.write(text)
    process.stdin.close()
    return ProgramProcess(program, process, hear)


async def _read_lines(stream: asyncio.StreamReader | None, hear: Callable[[str], None]) -> None:
    unfinished = b""
    while stream is not None and (chunk := await stream.read(65536)):
        *lines, unfinished = (unfinished + chunk).split(b"\n")
        for line in lines:
            hear(line.decode("utf-8", "replace"))
        if len(unfinished) > LONGEST_LINE:
            unfinished = b""
