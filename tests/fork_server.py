"""A Python that has imported what the product needs: it forks for each command, which costs a third of a start.

What it holds in readiness is what others wrote. A forked process imports all that is ours, reads its own environment,
sets Django up and ends as one that was started does; only what `/proc` tells of its command line is the server's.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[1]
OURS = ("__main__", "tests", "clustercore", "transcription", "agents", "dellm", "orchestration")
IMPORTED = (
    "clustercore.project.celery",
    "clustercore.jobs.commands.showing",
    "transcription.commands.transcribe",
    "clustercore.project.command_line.up",
    "clustercore.project.asgi",
    "clustercore.project.urls",
    "celery.bin.celery",
    "celery.bin.worker",
    "celery.apps.worker",
    "celery.worker.autoscale",
    "kombu.transport.redis",
    "celery.backends.redis",
)
"""What processes of the product import first; what these import of others is held in readiness."""
DESCRIPTORS = 1 << 12
LENGTH = struct.Struct("=I")
Streams = tuple[IO[Any], IO[Any], IO[Any]]
"""Standard input, output and error."""


class Forked:
    """A process of the fork server; used as a `subprocess.Popen` is."""

    def __init__(self, pid: int, status: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._status = status

    def poll(self) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, negative for the signal that ended it. Raises TimeoutExpired."""
        if self.returncode is None:
            if not select.select([self._status], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
            said = os.read(self._status, 64)
            os.close(self._status)
            self.returncode = int(said or -signal.SIGKILL)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class ForkServer:
    """The server as its one client sees it."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        hidden = ("CLUSTERCORE_", "DJANGO_")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.fork_server", str(theirs.fileno())],
                env={**environment, "PYTHONPATH": str(ROOT)}, cwd=ROOT, pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        self._link, self._one_at_a_time = ours, threading.Lock()

    def start(
        self,
        words: Sequence[str],
        environment: Mapping[str, str],
        cwd: Path,
        streams: Streams,
        *,
        own_group: bool = False,
    ) -> Forked:
        """A process with these words after the interpreter's name: `-m module …` or `-c text …`, after `-P` or not."""
        asked = {"words": list(words), "environment": dict(environment), "cwd": str(cwd), "own_group": own_group}
        order = json.dumps(asked).encode()
        numbers = [stream.fileno() for stream in streams]
        reading, writing = os.pipe()
        with self._one_at_a_time:
            socket.send_fds(self._link, [LENGTH.pack(len(order))], [*numbers, writing])
            self._link.sendall(order)
        os.close(writing)
        said = b""
        while not said.endswith(b"\n"):
            byte = os.read(reading, 1)
            assert byte, "the fork server ended"
            said += byte
        return Forked(int(said), reading)

    def start_logged(self, words: Sequence[str], environment: Mapping[str, str], cwd: Path, log: Path) -> Forked:
        """In a process group of its own, with nothing to read; what it says goes to the end of its log."""
        with Path(os.devnull).open("rb") as nothing, log.open("ab") as output:
            return self.start(words, environment, cwd, (nothing, output, output), own_group=True)

    def run(
        self, words: Sequence[str], environment: Mapping[str, str], cwd: Path, *, timeout: float, typed: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command to its end with `typed` on its standard input. Raises TimeoutExpired, and ends it before."""
        with tempfile.TemporaryFile("w+") as given, _captured() as out, _captured() as err:
            given.write(typed)
            given.seek(0)
            process = self.start(words, environment, cwd, (given, out, err))
            try:
                code = process.wait(timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise
            return subprocess.CompletedProcess(list(words), code, _all_of(out), _all_of(err))

    def close(self) -> None:
        """Ends the server, and what it forked."""
        self._link.close()
        self.process.wait(20)


@cache
def fork_server() -> ForkServer:
    """The session's, started on first use."""
    server = ForkServer()
    atexit.register(server.close)
    return server


def _captured() -> IO[str]:
    return tempfile.TemporaryFile("w+", encoding="utf-8")


def _all_of(file: IO[str]) -> str:
    file.seek(0)
    return file.read()


# The server's side.


def main() -> None:
    link = socket.socket(fileno=int(sys.argv[1]))
    for name in names_of_others():
        # What needs settings is left to those who have some.
        with suppress(Exception):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()
    words = Server(link).serve()
    if words is not None:
        run_words(words)


def names_of_others() -> list[str]:
    """What the product imports and did not write, found by a fork that imports all of it."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        with tempfile.TemporaryDirectory() as directory, os.fdopen(writing, "w") as answer:
            os.environ |= {"CLUSTERCORE_DATA_DIR": directory, "DJANGO_SETTINGS_MODULE": "clustercore.project.settings"}
            importlib.import_module("django").setup()
            for name in IMPORTED:
                importlib.import_module(name)
            answer.write("\n".join(name for name in sys.modules if name.partition(".")[0] not in OURS))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        names = answer.read().split()
    os.waitpid(process, 0)
    return names


class Server:
    """Forks for each order, and tells when a process has ended."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._woken, self._waking = os.pipe()
        self._running: dict[int, int] = {}
        os.set_blocking(self._waking, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._waking)

    def serve(self) -> list[str] | None:
        """In a forked process the words that it shall run; None in the server, when its client is gone."""
        sources: list[socket.socket | int] = [self._link, self._woken]
        while True:
            ready, _, _ = select.select(sources, [], [])
            if self._woken in ready:
                os.read(self._woken, 4096)
                self._bury()
            if self._link in ready:
                length, descriptors, _, _ = socket.recv_fds(self._link, LENGTH.size, 4)
                if not length:
                    self._end_all()
                    return None
                order = json.loads(self._link.recv(LENGTH.unpack(length)[0], socket.MSG_WAITALL))
                if self._fork(descriptors):
                    self._become(order, descriptors[:3])
                    words: list[str] = order["words"]
                    return words

    def _fork(self, descriptors: list[int]) -> bool:
        process = os.fork()
        if process:
            *streams, status = descriptors
            self._running[process] = status
            os.write(status, b"%d\n" % process)
            for stream in streams:
                os.close(stream)
        return process == 0

    def _bury(self) -> None:
        for process in list(self._running):
            ended, status = os.waitpid(process, os.WNOHANG)
            if ended:
                told = self._running.pop(process)
                # Nobody may be left to hear it.
                with suppress(BrokenPipeError):
                    os.write(told, b"%d" % os.waitstatus_to_exitcode(status))
                os.close(told)

    def _end_all(self) -> None:
        for process in self._running:
            os.kill(process, signal.SIGKILL)

    def _become(self, order: Mapping[str, Any], streams: Sequence[int]) -> None:
        """Nothing of the server's stays but its imports."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if order["own_group"]:
            os.setpgid(0, 0)
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        self._link.detach()
        os.closerange(3, DESCRIPTORS)
        os.chdir(order["cwd"])
        os.environ.clear()
        os.environ.update(order["environment"])


def run_words(words: Sequence[str]) -> None:
    """What the interpreter does with its command line."""
    safe_path, rest = words[0] == "-P", list(words)
    if safe_path:
        rest = rest[1:]
    sys.path[0:1] = [] if safe_path else [str(Path.cwd())] if rest[0] == "-m" else [""]
    kind, what, *arguments = rest
    if kind == "-m":
        sys.argv = [what, *arguments]
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    elif kind == "-c":
        sys.argv = ["-c", *arguments]
        exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})
    else:
        raise ValueError(f"neither -m nor -c: {kind}")


if __name__ == "__main__":
    main()
