"""What every benchmark needs: private servers, worker processes, and results as a table, JSON, a plot and one line."""

from __future__ import annotations

import atexit
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

RESULTS = Path(__file__).parent / "results"


def private_data_directory() -> Path:
    """Makes a data directory of this benchmark's own; must be called before Django's settings are imported."""
    directory = Path(tempfile.mkdtemp(prefix="clustercore-benchmark-"))
    directory.chmod(0o711)
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    os.environ["CLUSTERCORE_DATA_DIR"] = str(directory)
    os.environ["DJANGO_SETTINGS_MODULE"] = "clustercore.project.settings"
    for variable in ("DATABASE_URL", "REDIS_URL"):
        os.environ.pop(variable, None)
    return directory


def data_directory() -> Path:
    """The directory that `private_data_directory` made."""
    return Path(os.environ["CLUSTERCORE_DATA_DIR"])


@contextmanager
def worker(name: str, *, slots: int = 1, include: str = "", **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """One node as a process of its own; its log lies in the data directory."""
    directory = data_directory()
    environment = {**os.environ, "CLUSTERCORE_NODE_NAME": name, "CLUSTERCORE_SLOTS": str(slots), **variables}
    command = [sys.executable, "-m", "celery", "-A", "clustercore", "worker", "--loglevel", "warning"]
    command += ["--include", include] if include else []
    with (directory / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def free_port() -> int:
    """A port of the loopback address that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def web_process(command: Sequence[str], port: int, **variables: str) -> Iterator[psutil.Process]:
    """The product's web process, as `clustercore up` starts it, once it answers; its log lies in the data directory."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1]), **variables}
    with (data_directory() / "web.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        wait_until(lambda: _answers(port), 60, "the web process", every=0.2)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(30)


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def wait_until(condition: Callable[[], bool], seconds: float, what: str, every: float = 0.02) -> None:
    """Waits for a state of the ledger. Raises TimeoutError that names what was waited for.

    Looking costs processor time: where the processors are what is measured, look seldom.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds} s")
        time.sleep(every)


def quantile(values: Sequence[float], fraction: float) -> float:
    """The value below which `fraction` of the values lie (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(fraction * len(ordered)))]


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A plain table on standard output."""
    texts = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(len(row[column]) for row in texts) for column in range(len(header))]
    print(f"\n{title}")
    for row in texts:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))


def publish(name: str, metrics: Mapping[str, Any], details: Mapping[str, Any], draw: Callable[[Any], None]) -> None:
    """Writes `results/NAME.json` and `results/NAME.png`, and prints the closing line."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    RESULTS.mkdir(exist_ok=True)
    document = {
        "benchmark": name,
        "metrics": dict(metrics),
        "details": dict(details),
        "machine": {"cores": os.cpu_count(), "architecture": platform.machine(), "python": platform.python_version()},
    }
    (RESULTS / f"{name}.json").write_text(json.dumps(document, indent=2) + "\n")
    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    draw(axes)
    figure.savefig(RESULTS / f"{name}.png", dpi=110)
    pyplot.close(figure)
    print(json.dumps({"benchmark": name, "metrics": dict(metrics)}))
