"""What every benchmark needs: private servers, worker processes, rounds, bars, and results as a table, JSON, a plot
and one line.

A benchmark states its bars as data, `BARS = {"metric": ("<=", limit)}`, asks `arguments` for its parser (`--rounds`,
`--strict`), measures in `rounds`, and hands all of it to `publish`.
"""

from __future__ import annotations

import argparse
import atexit
import json
import operator
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Generic, TypeVar

import httpx
import psutil

RESULTS = Path(__file__).parent / "results"
BUSY_LOAD = 2.0
"""A round that began while more than this waited for the processors is repeated once."""
QUIET_SECONDS = 30.0
"""How long the repetition waits for quiet: the round before it made load of its own."""

Found = TypeVar("Found")
Bars = Mapping[str, tuple[str, float]]
"""By metric: `<=` or `>=`, and the limit."""
_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {"<=": operator.le, ">=": operator.ge}


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


def arguments(description: str | None, *, rounds: int = 3) -> argparse.ArgumentParser:
    """Returns a parser with the options of every benchmark."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds, help=f"how often to measure (default: {rounds})")
    parser.add_argument("--strict", action="store_true", help="exit with 1 where a bar is missed")
    return parser


@dataclass(frozen=True)
class Round(Generic[Found]):
    """What one round found, and the load average of the last minute when it began."""

    load: float
    found: Found


def rounds(count: int, measure: Callable[[int], Found]) -> list[Round[Found]]:
    """Measures `count` times, given the round's number; of a round that began busy the repetition counts."""
    return [_repeated_if_busy(number, measure) for number in range(count)]


def _repeated_if_busy(number: int, measure: Callable[[int], Found]) -> Round[Found]:
    first = _round(number, measure)
    if first.load <= BUSY_LOAD:
        return first
    print(f"  round {number + 1} began at a load of {first.load}: repeated", flush=True)
    deadline = time.monotonic() + QUIET_SECONDS
    while load_average() > BUSY_LOAD and time.monotonic() < deadline:
        time.sleep(1)
    return _round(number, measure)


def _round(number: int, measure: Callable[[int], Found]) -> Round[Found]:
    load = load_average()
    return Round(load, measure(number))


def load_average() -> float:
    """Returns how many processes ran or waited for a processor, on average over the last minute."""
    return round(os.getloadavg()[0], 2)


def medians(found: Sequence[Mapping[str, float]], digits: int = 3) -> dict[str, float]:
    """Returns the median of each metric over the rounds."""
    return {name: round(statistics.median(one[name] for one in found), digits) for name in found[0]}


def missed(bars: Bars, metrics: Mapping[str, Any]) -> list[str]:
    """Returns a line for each bar that is not met. Raises KeyError where a metric with a bar is absent."""
    return [
        f"{name} is {metrics[name]}, and should be {comparison} {limit}"
        for name, (comparison, limit) in bars.items()
        if not _COMPARISONS[comparison](metrics[name], limit)
    ]


def title(text: str, bars: Bars) -> str:
    """Returns a heading that names the bars."""
    stated = ", ".join(f"{name} {comparison} {limit:g}" for name, (comparison, limit) in bars.items())
    return f"{text} (bars: {stated})"


def quantile(values: Sequence[float], fraction: float) -> float:
    """The value below which `fraction` of the values lie (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(fraction * len(ordered)))]


def print_table(heading: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A plain table on standard output."""
    texts = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(len(row[column]) for row in texts) for column in range(len(header))]
    print(f"\n{heading}")
    for row in texts:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))


def publish(
    name: str,
    metrics: Mapping[str, Any],
    details: Mapping[str, Any],
    draw: Callable[[Any], None],
    *,
    bars: Bars,
    loads: Sequence[float],
    strict: bool,
) -> None:
    """Writes `results/NAME.json` and `results/NAME.png`, and prints the closing line.

    `loads` are those at which the rounds began. Ends the process with 1 where a bar is missed and `strict`.
    """
    document = {
        "benchmark": name,
        "metrics": dict(metrics),
        "bars": {metric: list(bar) for metric, bar in bars.items()},
        "load": max(loads),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "details": {**details, "loads": list(loads)},
        "machine": {"cores": os.cpu_count(), "architecture": platform.machine(), "python": platform.python_version()},
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(document, indent=2) + "\n")
    _plot(RESULTS / f"{name}.png", draw)
    lines = missed(bars, metrics)
    for line in lines:
        print(f"Missed: {line}")
    print(json.dumps({"benchmark": name, "metrics": dict(metrics)}), flush=True)
    if strict and lines:
        sys.exit(1)


def _plot(path: Path, draw: Callable[[Any], None]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    draw(axes)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def commit() -> str:
    """Returns the commit that is measured, with `+` where files differ from it; `unknown` outside a checkout."""
    try:
        head = _git("rev-parse", "--short=12", "HEAD")
        return f"{head}+" if _git("status", "--porcelain", "--", ".", ":!benchmarks/results") else head
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*arguments: str) -> str:
    root = Path(__file__).parents[1]
    return subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True).stdout.strip()


def milliseconds(work: Callable[[], object]) -> float:
    """How long it took, on the clock."""
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000
