"""The parent side of one engine runner: start it, send it requests, listen, end it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from clustercore.config.interpreter import PACKAGE_ROOT, python_command
from clustercore.embedded.domain.shortage import ResourceShortage
from clustercore.nodes.domain.engine import EngineFailure, JsonObject, Loaded
from clustercore.nodes.domain.hooks import RunnerDied
from clustercore.nodes.domain.wire import MAXIMUM_LINE_BYTES, SHORTAGE, decode_line, encode_line

LOG_LINES = 50
LOG_LINE_BYTES = 2000
EXIT_SECONDS = 5.0
BOOT = "import sys; sys.path.append(sys.argv.pop(1)); from clustercore.nodes.adapters.runner import main; main()"

OnReport = Callable[[float, JsonObject | None], None]


@dataclass(frozen=True, slots=True)
class RunnerOrder:
    """Everything a runner is told when it starts."""

    engine: str
    model: str
    plugin: str
    models_directory: Path
    threads: int

    @property
    def key(self) -> tuple[str, str]:
        return self.engine, self.model

    def message(self) -> dict[str, Any]:
        return {
            "load": {
                "plugin": self.plugin,
                "model": self.model,
                "models_directory": str(self.models_directory),
                "threads": self.threads,
                "path": [entry for entry in sys.path if entry],
            }
        }


def _detached_from_terminal() -> dict[str, Any]:
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"process_group": 0}


class RunnerProcess:
    """One running engine runner. `call` belongs to one thread at a time; `kill` may come from any.

    Must be made in a thread that lives as long as the worker: on Linux the kernel kills the child when the thread
    that started it ends.
    """

    def __init__(self, order: RunnerOrder, load_seconds: float, silent_seconds: float) -> None:
        self.order = order
        self.loaded: Loaded | None = None
        self.last_used = time.monotonic()
        self._silent_seconds = silent_seconds
        self._deadline: float | None = time.monotonic() + load_seconds
        self._allowance = load_seconds
        self._end: tuple[str, bool] | None = None
        self._log: deque[str] = deque(maxlen=LOG_LINES)
        command = python_command("-c", BOOT, str(PACKAGE_ROOT), str(os.getpid()))
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **_detached_from_terminal(),
        )
        self._log_reader = threading.Thread(target=self._keep_log, name="engine runner log", daemon=True)
        self._log_reader.start()

    @property
    def process_id(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def load(self) -> Loaded:
        """Waits until the model is loaded. Raises EngineFailure, RunnerDied."""
        self._send(encode_line(self.order.message()))
        loaded: Mapping[str, Any] = self._listen(lambda *_: None)["loaded"]
        self.loaded = Loaded(loaded["device"], loaded["note"], loaded["details"])
        return self.loaded

    def call(self, request: JsonObject, on_report: OnReport) -> JsonObject:
        """One request; waits. Raises EngineFailure, ResourceShortage, RunnerDied and whatever `on_report` raises."""
        line = encode_line({"run": dict(request)})
        self._allowance = self._silent_seconds
        self._touch()
        self._send(line)
        result: JsonObject = self._listen(on_report)["result"]
        return result

    def kill(self, reason: str, *, deliberate: bool) -> None:
        """Ends the process and whatever it started, now. The first reason given is the one that is told."""
        if self._end is None and self.alive:
            self._end = (reason, deliberate)
        with suppress(ProcessLookupError, PermissionError):
            if sys.platform == "win32":
                self._process.kill()
            elif self._process.returncode is None:
                os.killpg(self._process.pid, signal.SIGKILL)

    def kill_if_silent(self, now: float) -> None:
        """Kills a busy runner that has reported nothing for its allowance; `now` is of the monotonic clock."""
        deadline = self._deadline
        if deadline is not None and now > deadline:
            doing = "no progress" if self.loaded else "the model did not load"
            self.kill(f"hung: {doing} for {self._allowance:g} s", deliberate=False)

    def close(self) -> None:
        """Ends the process and gives its descriptors back."""
        self.kill("closed", deliberate=True)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(EXIT_SECONDS)
        self._log_reader.join(EXIT_SECONDS)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                with suppress(OSError):
                    stream.close()

    def _touch(self) -> None:
        self._deadline = time.monotonic() + self._allowance

    def _send(self, line: bytes) -> None:
        stream = _open(self._process.stdin)
        try:
            stream.write(line)
            stream.flush()
        except OSError as error:
            raise self._death() from error

    def _listen(self, on_report: OnReport) -> dict[str, Any]:
        while True:
            message = self._receive()
            # The engine is not to blame for however long its listener takes over a report.
            self._deadline = None
            if "report" in message:
                on_report(message["report"], message["event"])
                self._touch()
                continue
            if "failure" in message:
                raise _failure(message["failure"])
            if "error" in message:
                raise _unexpected(message)
            return message

    def _receive(self) -> dict[str, Any]:
        line = _open(self._process.stdout).readline(MAXIMUM_LINE_BYTES + 1)
        if line:
            with suppress(ValueError):
                return decode_line(line)
            self.kill("its answer was not a line of JSON", deliberate=False)
        raise self._death()

    def _death(self) -> RunnerDied:
        self._deadline = None
        try:
            code = self._process.wait(EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill("it closed its pipe", deliberate=False)
            code = self._process.wait()
        self._log_reader.join(EXIT_SECONDS)
        reason, deliberate = self._end or (_how_it_ended(code), False)
        return RunnerDied(reason, deliberate=deliberate, log_tail="\n".join(self._log))

    def _keep_log(self) -> None:
        stream = _open(self._process.stderr)
        with suppress(ValueError, OSError):
            while line := stream.readline(LOG_LINE_BYTES):
                self._log.append(line.decode(errors="replace").rstrip("\r\n"))


def _open(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise ValueError("a runner is started with all three pipes")
    return stream


def _failure(told: Mapping[str, str]) -> EngineFailure | ResourceShortage:
    if told["code"] == SHORTAGE:
        return ResourceShortage(told["message"])
    return EngineFailure(told["code"], told["message"])


def _unexpected(message: Mapping[str, Any]) -> EngineFailure:
    failure = EngineFailure("unexpected", f"The engine failed unexpectedly: {message['error']}")
    failure.add_note(str(message["traceback"]))
    return failure


def _how_it_ended(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
