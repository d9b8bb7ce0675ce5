"""Child processes: started in a session of their own, started again when they die, and ended politely."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from clustercore.config.environment import environment
from clustercore.config.interpreter import child_variables, python_command
from clustercore.embedded.adapters.processes import tied_to_parent
from clustercore.embedded.domain.restarts import pause_before
from clustercore.project.flower import process as flower

KILL_SECONDS = 5.0
UNSTARTABLE_PAUSE_SECONDS = 5.0
_POLL_SECONDS = 0.05
_TAIL_BYTES = 2000
_WORKER = "import sys; from clustercore.project.command_line.worker import run; sys.exit(run(sys.argv[-1]))"
_FLOWER = (
    "import sys; from clustercore.project.command_line.flower_process import run_celery; "
    "sys.exit(run_celery(sys.argv[1:]))"
)
"""What `celery -A clustercore` does, but for looking for `clustercore` in the current directory first."""


def node_command(name: str) -> list[str]:
    """A worker node in a process of its own; the agent's settings come from its environment."""
    return python_command("-c", _WORKER, "worker", "--hostname", hostname_of(name))


def hostname_of(name: str) -> str:
    """Returns what Celery calls the node: a name that is unique on the machine, which it puts in place of `%h`."""
    return f"{name}@%h"


def flower_command() -> list[str]:
    """Flower in a process of its own, on the hub's socket."""
    return python_command("-c", _FLOWER, *flower.arguments(environment().data_dir))


def hub_variables() -> dict[str, str | None]:
    """What every child of the hub must find in its environment, whatever the current directory."""
    return {"CLUSTERCORE_DATA_DIR": str(environment().data_dir)}


def keyless_variables() -> dict[str, str | None]:
    """The same for a child that serves no pages of ours, and so has no use for the key that signs sessions."""
    return {**hub_variables(), "CLUSTERCORE_SECRET_KEY": None}


def node_variables(name: str | None, slots: int | None) -> dict[str, str | None]:
    """The environment of a node; None keeps what is set already."""
    variables = keyless_variables()
    if name:
        variables["CLUSTERCORE_NODE_NAME"] = name
    if slots:
        variables["CLUSTERCORE_SLOTS"] = str(slots)
    return variables


@dataclass
class Child:
    """One child that should run as long as its owner does. Start it from the main thread: on Linux it is told when
    the thread that started it ends."""

    name: str
    command: Sequence[str]
    log: Path
    variables: Mapping[str, str | None] = field(default_factory=dict)
    restarts: int = 0
    _process: subprocess.Popen[bytes] | None = None
    _started: float = 0.0
    _again_at: float | None = None
    _unstartable: str = ""
    _is_dismissed: bool = False

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll() if self._process is not None else None

    def start(self) -> None:
        """Starts it; its output goes to the end of its log. Raises OSError."""
        with self.log.open("ab") as output:
            self._process = _spawn(self.command, output, child_variables(self.variables))
        self._started, self._is_dismissed = time.monotonic(), False

    def keep(self) -> str:
        """Starts it again when it has died, sooner the longer it lived; what happened, in words, or nothing."""
        if not self.is_wanted or self.exit_code is None:
            return ""
        now = time.monotonic()
        if self._again_at is None:
            pause = pause_before(self.restarts + 1, now - self._started)
            self._again_at = now + pause
            return f"{self.name} ended (exit code {self.exit_code}); starting it again in {pause:.1f} s"
        if now >= self._again_at:
            self._again_at = None
            self.restarts += 1
            return self._start_again()
        return ""

    def _start_again(self) -> str:
        """A machine without descriptors, memory or disk is no reason to give up: it is tried again."""
        try:
            self.start()
        except OSError as error:
            self._again_at = time.monotonic() + UNSTARTABLE_PAUSE_SECONDS
            told, self._unstartable = self._unstartable, str(error)
            return f"{self.name} cannot be started: {error}" if told != self._unstartable else ""
        self._unstartable = ""
        return ""

    def terminate(self) -> None:
        """Asks it to end; what it has in hand gets its grace."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def dismiss(self) -> None:
        """Asks it to end and no longer keeps it: `start` may follow once it has `ended`."""
        self.terminate()
        self._again_at = None
        self._is_dismissed = True

    @property
    def is_wanted(self) -> bool:
        """Whether it was started and not dismissed since."""
        return self._process is not None and not self._is_dismissed

    def kill(self) -> None:
        """Ends it at once."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()

    def end(self, seconds: float) -> None:
        """Waits for its end, and kills it when it does not come."""
        if self._process is None:
            return
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(KILL_SECONDS)

    def log_tail(self) -> str:
        """The last lines of its log."""
        try:
            return self.log.read_bytes()[-_TAIL_BYTES:].decode("utf-8", "replace").strip()
        except OSError:
            return ""


def end_children(children: Sequence[Child], seconds: float) -> None:
    """Ends all of them at the same time."""
    for child in children:
        child.terminate()
    deadline = time.monotonic() + seconds
    for child in children:
        child.end(max(0.1, deadline - time.monotonic()))


def spawn_detached(command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """A process that goes on when this one and its terminal end."""
    with log.open("ab") as output:
        return subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=child_variables({}),
            **apart(),
        )


def _spawn(command: Sequence[str], output: IO[bytes], variables: dict[str, str]) -> subprocess.Popen[bytes]:
    tied: dict[str, Any] = {} if sys.platform == "win32" else {"preexec_fn": tied_to_parent(signal.SIGTERM)}
    return subprocess.Popen(
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=variables,
        **apart(),
        **tied,
    )


def apart() -> dict[str, Any]:
    """Ctrl-C in a terminal reaches every process of its group: a child must hear of it from its owner alone."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def process_ends(pid: int, seconds: float) -> bool:
    """Whether a process that is not our child ends within so many seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(_POLL_SECONDS)
    return False
