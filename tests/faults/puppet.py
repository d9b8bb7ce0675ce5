"""The oracle engine on strings: how slow it is, what kills it and what hangs it are files that a test writes.

In the directory `PUPPET_DIRECTORY`: `seconds` and `seconds.<node>` hold how long a piece takes, `poison`, `hang` and
`greedy` the words whose pieces kill the host, make it spin, or make it take a lot of memory. Every piece begun and
finished leaves a line in `trace/<pid>`: what was really executed, whatever the ledger believes.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clustercore.nodes.domain.engine import JsonObject, Report
from tests.fakes.transcription.engines.oracle import Oracle
from tests.fakes.transcription.engines.tones import SpokenWord

STEP_SECONDS = 0.1
GREED_BYTES = 256 << 20


class Puppet(Oracle):
    """Reads tone words, as slowly and as badly as it is told."""

    def run(self, request: JsonObject, report: Report) -> JsonObject:
        """Transcribe one piece, and note when it was begun and finished."""
        self._piece = hashlib.sha256(Path(request["path"]).read_bytes()).hexdigest()
        result = super().run(request, report)
        self._note("finished")
        return result

    def before_answering(self, words: Sequence[SpokenWord], report: Report) -> None:
        """Do what the strings say."""
        self._note("begun")
        spoken = {word.word for word in words}
        if spoken & listed("poison"):
            os.kill(os.getpid(), signal.SIGKILL)
        self._taken = bytes([1]) * GREED_BYTES if spoken & listed("greedy") else b""
        while spoken & listed("hang"):
            time.sleep(STEP_SECONDS)
        self._take_time(report)

    def _take_time(self, report: Report) -> None:
        began = time.monotonic()
        while (spent := time.monotonic() - began) < (seconds := seconds_a_piece()):
            report(min(0.99, spent / seconds))
            time.sleep(min(STEP_SECONDS, seconds - spent))

    def _note(self, what: str) -> None:
        directory = strings() / "trace"
        directory.mkdir(parents=True, exist_ok=True)
        note = {"what": what, "piece": self._piece, "at": time.time(), "process": os.getpid(), "node": node()}
        with (directory / str(os.getpid())).open("a") as file:
            file.write(json.dumps(note) + "\n")


@dataclass(frozen=True, slots=True)
class Execution:
    """One line of the trace: `what` is begun or finished, `piece` the hash of its sound, `at` in seconds since 1970."""

    what: str
    piece: str
    at: float
    process: int
    node: str


def executions(directory: Path) -> list[Execution]:
    """All lines of the trace of the puppets of a directory, in order of time."""
    files = sorted((directory / "trace").glob("*"))
    lines = [line for file in files for line in file.read_text().splitlines()]
    return sorted((Execution(**json.loads(line)) for line in lines), key=lambda execution: execution.at)


def strings() -> Path:
    """The directory of this process's puppets."""
    return Path(os.environ["PUPPET_DIRECTORY"])


def node() -> str:
    """The node that this engine works for."""
    return os.environ.get("CLUSTERCORE_NODE_NAME", "")


def listed(name: str) -> set[str]:
    """The words in one of the files."""
    try:
        return set((strings() / name).read_text().split())
    except FileNotFoundError:
        return set()


def seconds_a_piece() -> float:
    """How long a piece takes on this node now."""
    found = listed(f"seconds.{node()}") or listed("seconds") or {"0"}
    return float(found.pop())
