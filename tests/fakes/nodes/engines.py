"""Small engines with one habit each, for tests of what runs engines."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import ClassVar

from clustercore.nodes.domain.engine import EngineFailure, JsonObject, Loaded, ModelRecord, Report


class Echo:
    """Answers with what it got, the process it runs in and the threads it may use."""

    name: ClassVar[str] = "echo"
    capability: ClassVar[str] = "echo"

    def inventory(self, models_directory: Path) -> list[ModelRecord]:
        return [ModelRecord(capability=self.capability, engine=self.name, model="plain", memory_mb=10)]

    def load(self, model: str, models_directory: Path) -> Loaded:
        if model == "missing":
            raise EngineFailure("no_model", "The model is not here; download it.")
        self.model = model
        return Loaded("cpu", details={"model": model})

    def run(self, request: JsonObject, report: Report) -> JsonObject:
        report(1.0)
        return {
            "echo": dict(request),
            "process": os.getpid(),
            "threads": os.environ.get("OMP_NUM_THREADS"),
            "model": self.model,
        }


class Chatter(Echo):
    """Prints to standard output in every way there is, as engine libraries do."""

    name: ClassVar[str] = "chatter"

    def run(self, request: JsonObject, report: Report) -> JsonObject:
        print('{"result": "forged"}', flush=True)  # noqa: T201
        os.write(1, b"raw bytes on descriptor one\n")
        os.system("echo from a child process")
        if sys.__stdout__ is not None:
            sys.__stdout__.write("through the original object\n")
        return super().run(request, report)


class Crash(Echo):
    """Dies in the way the request names."""

    name: ClassVar[str] = "crash"

    def run(self, request: JsonObject, report: Report) -> JsonObject:
        how = request["how"]
        print("last words", file=sys.stderr, flush=True)  # noqa: T201
        if how == "exit":
            os._exit(3)
        if how == "signal":
            os.kill(os.getpid(), signal.SIGKILL)
        if how == "failure":
            raise EngineFailure("unreadable", "The file is not audio.")
        if how == "disk full":
            raise EngineFailure("cannot_write", "The piece cannot be written.") from OSError(errno.ENOSPC, "full")
        if how == "memory":
            raise MemoryError
        if how == "raise":
            raise ZeroDivisionError("seven by zero")
        if how == "not json":
            return {"value": object()}
        return super().run(request, report)


class Hang(Echo):
    """Reports once and then never again; or keeps a descendant alive."""

    name: ClassVar[str] = "hang"

    def run(self, request: JsonObject, report: Report) -> JsonObject:
        report(0.1, {"process": os.getpid()})
        if request.get("descendant"):
            report(0.1, {"descendant": _start_descendant()})
        while True:
            time.sleep(3600)


class HangingLoad(Echo):
    """Never finishes loading."""

    name: ClassVar[str] = "hanging-load"

    def load(self, model: str, models_directory: Path) -> Loaded:
        while True:
            time.sleep(3600)


class Steady(Echo):
    """Takes `seconds` in `steps` steps and reports each."""

    name: ClassVar[str] = "steady"

    def run(self, request: JsonObject, report: Report) -> JsonObject:
        steps = int(request["steps"])
        for step in range(steps):
            time.sleep(float(request["seconds"]) / steps)
            report((step + 1) / steps, {"step": step})
        return {"steps": steps, "process": os.getpid()}


class HangingInventory(Echo):
    """Says once what it has; asked again, it hangs until it is let go, as one that asks a silent server."""

    name: ClassVar[str] = "hanging-inventory"
    asked: ClassVar[int] = 0
    let_go: ClassVar[threading.Event] = threading.Event()

    def inventory(self, models_directory: Path) -> list[ModelRecord]:
        type(self).asked += 1
        if self.asked > 1:
            self.let_go.wait()
        return super().inventory(models_directory)


class Broken:
    """Cannot even say what it has."""

    name: ClassVar[str] = "broken"
    capability: ClassVar[str] = "echo"

    def inventory(self, models_directory: Path) -> list[ModelRecord]:
        raise RuntimeError("the library is of another version")

    def load(self, model: str, models_directory: Path) -> Loaded:
        raise EngineFailure("broken", "never loads")

    def run(self, request: JsonObject, report: Report) -> JsonObject:
        raise EngineFailure("broken", "never runs")


def _start_descendant() -> int:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
    return process.pid
