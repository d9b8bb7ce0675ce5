"""The child side of an engine runner: one engine, one model, one request at a time, JSON lines over its own streams.

The parent writes `{"load": {...}}` and then `{"run": request}` lines; the child answers with `loaded`, `report`,
`result`, `failure` and `error` lines. Nothing but this protocol ever reaches the parent's pipe: descriptor 1 is
pointed at standard error before any engine is imported, because engine libraries print. No Django in here.
"""

from __future__ import annotations

import ctypes
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from clustercore.embedded.domain.shortage import shortage_in
from clustercore.nodes.adapters.plugins import load_plugin
from clustercore.nodes.domain.engine import Engine, EngineFailure, JsonObject
from clustercore.nodes.domain.wire import MAXIMUM_LINE_BYTES, OUT_OF_MEMORY, SHORTAGE, decode_line, encode_line

try:
    import resource
except ImportError:  # Windows has no such module.
    resource = None  # type: ignore[assignment]

EXIT_PARENT_GONE = 0
EXIT_PROTOCOL = 64
EXIT_UNSAFE = 70
PR_SET_PDEATHSIG = 1
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
TRACEBACK_CHARACTERS = 4000


def die_with_parent(parent: int) -> None:
    """On Linux the kernel kills this process when the parent's spawning thread ends; elsewhere end of input does."""
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # The parent may have died between its fork and our request: then nobody would ever signal us.
    if os.getppid() != parent:
        os._exit(EXIT_PARENT_GONE)


def leave_signals_to_the_parent() -> None:
    """A Ctrl-C or a supervisor's SIGTERM goes to the whole group; the worker grants the grace, not the runner."""
    for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
        number = getattr(signal, name, None)
        if number is not None:
            # A handler that does nothing, not SIG_IGN: programs an engine starts would inherit being deaf.
            signal.signal(number, lambda *_: None)


def forbid_core_dumps() -> None:
    """A crash of a loaded model would otherwise write gigabytes."""
    if resource is not None:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def take_private_streams() -> tuple[BinaryIO, BinaryIO]:
    """The protocol's streams; whatever else reads or writes standard streams gets nothing and standard error."""
    incoming = os.fdopen(os.dup(0), "rb")
    outgoing = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return incoming, outgoing


def read_requests(incoming: BinaryIO, requests: queue.SimpleQueue[dict[str, Any]]) -> None:
    """Runs in its own thread, so that the end of input ends this process even while an engine works."""
    while True:
        line = incoming.readline(MAXIMUM_LINE_BYTES + 1)
        if not line:
            os._exit(EXIT_PARENT_GONE)
        try:
            requests.put(decode_line(line))
        except ValueError:
            os._exit(EXIT_PROTOCOL)


class EngineRunner:
    """Serves one engine with one model until its parent closes the pipe."""

    def __init__(self, incoming: BinaryIO, outgoing: BinaryIO) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._writing = threading.Lock()

    def serve(self) -> None:
        reader = threading.Thread(target=read_requests, args=(self._incoming, self._requests), daemon=True)
        reader.start()
        engine = self._load(self._requests.get()["load"])
        while engine is not None:
            self._answer(engine, self._requests.get()["run"])

    def _send(self, message: Mapping[str, Any]) -> None:
        line = encode_line(message)
        try:
            with self._writing:
                self._outgoing.write(line)
                self._outgoing.flush()
        except OSError:
            os._exit(EXIT_PARENT_GONE)

    def _load(self, order: Mapping[str, Any]) -> Engine | None:
        for variable in THREAD_VARIABLES:
            os.environ[variable] = str(order["threads"])
        sys.path.extend(entry for entry in order["path"] if entry not in sys.path)
        try:
            engine = load_plugin(order["plugin"])()
            loaded = engine.load(order["model"], Path(order["models_directory"]))
        except BaseException as error:
            self._tell(error)
            return None
        self._send({"loaded": {"device": loaded.device, "note": loaded.note, "details": dict(loaded.details)}})
        return engine

    def _answer(self, engine: Engine, request: JsonObject) -> None:
        try:
            result = engine.run(request, self._report)
            self._send({"result": dict(result)})
        except Exception as error:
            self._tell(error)
            if isinstance(error, MemoryError):
                sys.exit(EXIT_UNSAFE)

    def _report(self, fraction: float, event: JsonObject | None = None) -> None:
        self._send({"report": float(fraction), "event": None if event is None else dict(event)})

    def _tell(self, error: BaseException) -> None:
        # Not a state of the machine alone: held until it is over, a node with too large a model would be held for ever.
        if isinstance(error, MemoryError):
            self._send({"failure": {"code": OUT_OF_MEMORY, "message": "this machine has not the memory for it"}})
            return
        if short := shortage_in(error):
            self._send({"failure": {"code": SHORTAGE, "message": short}})
            return
        if isinstance(error, EngineFailure):
            self._send({"failure": {"code": error.code, "message": error.message}})
            return
        tail = "".join(traceback.format_exception(error))[-TRACEBACK_CHARACTERS:]
        self._send({"error": f"{type(error).__name__}: {error}"[:TRACEBACK_CHARACTERS], "traceback": tail})


def main() -> None:
    """`runner PARENT`: the process number of the worker that started this runner."""
    die_with_parent(int(sys.argv[1]))
    leave_signals_to_the_parent()
    forbid_core_dumps()
    incoming, outgoing = take_private_streams()
    EngineRunner(incoming, outgoing).serve()
    # Daemon threads block in reads: a plain return would wait for nothing, but engines' exit hooks may hang.
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
