"""What a hub costs that does nothing: processor and memory of all its processes, alone and with one page open.

A hub with one node is started as a person starts it, in a data directory of its own, and left alone until its engine
runners have been unloaded. Then its processor time is taken for half of the seconds with no page open, and for the
other half with the home page followed over a WebSocket. Memory is the sum of PSS. The command line is started anew
each time; the median of its processor time counts, with our own modules compiled, as an installation has them.

    python -m benchmarks idle [--seconds 600] [--settle 120] [--rounds 1]
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psutil
from websockets.asyncio.client import ClientConnection, connect

from benchmarks import harness
from clustercore.config.interpreter import child_variables
from clustercore.embedded.adapters.directories import layout_of
from clustercore.embedded.services import status

TOPICS = ("cluster", "nodes", "jobs")
"""What the home page follows."""
BARS: harness.Bars = {
    "page_open_percent": ("<=", 1.0),
    "hub_percent": ("<=", 1.5),
    "hub_pss_mb": ("<=", 350.0),
    "cli_help_cpu_s": ("<=", 0.25),
    "cli_jobs_cpu_s": ("<=", 0.8),
}
UNLOAD_SECONDS = 10
"""After so long without work the runners are unloaded here: the wait for it measures nothing."""
CLI_RUNS = 5
CLUSTERCORE = (sys.executable, "-m", "clustercore.project.command_line.main")
RUNNER = "clustercore.nodes.adapters.runner"


@dataclass(frozen=True, slots=True)
class Hub:
    """The hub that is measured, by the processes from which all others descend."""

    roots: tuple[int, ...]
    web_url: str

    def processes(self) -> list[psutil.Process]:
        """All that run now, the servers among them."""
        found: dict[int, psutil.Process] = {}
        for root in map(psutil.Process, self.roots):
            for one in (root, *root.children(recursive=True)):
                found[one.pid] = one
        return list(found.values())

    def processor_seconds(self) -> float:
        """Used so far, by those too that ended meanwhile: their time has gone to the process that waited for them."""
        total = 0.0
        for one in self.processes():
            with suppress(psutil.NoSuchProcess):
                total += sum(one.cpu_times()[:4])
        return total

    def memory_mb(self) -> dict[str, float]:
        """PSS by what each process is."""
        found: dict[str, float] = {}
        for one in self.processes():
            with suppress(psutil.NoSuchProcess):
                found[_kind(one)] = found.get(_kind(one), 0.0) + one.memory_full_info().pss / 1e6
        return {kind: round(megabytes, 1) for kind, megabytes in sorted(found.items())}


def _kind(process: psutil.Process) -> str:
    words = " ".join(process.cmdline())
    marks = {
        RUNNER: "runner", "serve_as_told": "web", "flower": "Flower", " worker ": "node", "supervisor": "supervisor",
        "valkey": "Redis", "redis": "Redis", "postgres": "PostgreSQL", "clustercore": "up",
    }  # fmt: skip
    return next((kind for mark, kind in marks.items() if mark in words), words[:40] or "ended")


def variables() -> dict[str, str]:
    """Those of a person's shell: nothing of ours is set but where the data lie and when runners are unloaded."""
    changes = {"CLUSTERCORE_IDLE_RUNNER_SECONDS": str(UNLOAD_SECONDS), "PYTHONDONTWRITEBYTECODE": None}
    return child_variables(changes)


def run(*words: str) -> str:
    """One command; what it printed. Raises CalledProcessError."""
    done = subprocess.run([*CLUSTERCORE, *words], env=variables(), check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


@contextmanager
def running_hub() -> Iterator[Hub]:
    """`clustercore up -d`, and `down` at the end."""
    run("up", "-d", "--name", "idle")
    try:
        directory = harness.data_directory()
        state = json.loads((layout_of(directory).run / "up.json").read_text())
        yield Hub((state["pid"], status(directory)["pid"]), state["web_url"])
    finally:
        run("down")


def settle(hub: Hub, seconds: float) -> None:
    """Waits until no engine runner is left, or for so long: a hub that keeps them is measured with them."""
    time.sleep(UNLOAD_SECONDS)
    with suppress(TimeoutError):
        harness.wait_until(lambda: "runner" not in hub.memory_mb(), seconds, "the end of the runners", every=2.0)


def percent(hub: Hub, seconds: float) -> float:
    """Of one processor, for so long from now."""
    began, used = time.monotonic(), hub.processor_seconds()
    time.sleep(seconds)
    return 100 * (hub.processor_seconds() - used) / (time.monotonic() - began)


async def percent_with_page(hub: Hub, token: str, seconds: float) -> tuple[float, int]:
    """The same while one page is open, once it has seen all that it follows; and how many messages it got."""
    async with connect(
        f"{hub.web_url.replace('http', 'ws', 1)}/live",
        additional_headers={"Authorization": f"Bearer {token}"},
        compression=None,
        proxy=None,
    ) as socket:
        await socket.send(json.dumps({"follow": TOPICS}))
        waiting = set(TOPICS)
        while waiting:
            waiting.discard(json.loads(await socket.recv()).get("topic"))
        seen: list[str | bytes] = []
        reading = asyncio.create_task(_read(socket, seen))
        found = await asyncio.to_thread(percent, hub, seconds)
        reading.cancel()
        return found, len(seen)


async def _read(socket: ClientConnection, seen: list[str | bytes]) -> None:
    async for message in socket:
        seen.append(message)


def token_of_viewer() -> str:
    """What opens the page: made by the command line, as a person makes one."""
    run("users", "add", "watcher", "--role", "viewer")
    return run("tokens", "create", "watcher", "idle", "--scope", "view").strip()


def cli_seconds(*words: str) -> float:
    """Processor time of one command, its interpreter included: the median of a few runs."""
    used = []
    for _ in range(CLI_RUNS):
        process = subprocess.Popen([*CLUSTERCORE, *words], env=variables(), stdout=subprocess.DEVNULL)
        _, ended, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(ended)
        if process.returncode:
            raise RuntimeError(f"clustercore {' '.join(words)} ended with {process.returncode}")
        used.append(usage.ru_utime + usage.ru_stime)
    return statistics.median(used)


@dataclass(frozen=True, slots=True)
class Seen:
    """What one round found."""

    metrics: Mapping[str, float]
    memory: Mapping[str, float]
    memory_with_page: float
    messages: int


def measure(hub: Hub, token: str, seconds: float) -> Seen:
    """Measures once: the command line, the hub alone, and with a page."""
    cli = {"cli_help_cpu_s": cli_seconds("--help"), "cli_jobs_cpu_s": cli_seconds("jobs")}
    alone, memory = percent(hub, seconds / 2), hub.memory_mb()
    together, messages = asyncio.run(percent_with_page(hub, token, seconds / 2))
    metrics = {
        "page_open_percent": round(max(0.0, together - alone), 2),
        "hub_percent": round(alone, 2),
        "hub_pss_mb": round(sum(memory.values()), 1),
        **cli,
    }
    return Seen(metrics, memory, round(sum(hub.memory_mb().values()), 1), messages)


def draw(axes: Any, metrics: Mapping[str, float]) -> None:
    """Each metric as a share of its bar."""
    names = list(BARS)
    axes.barh(names, [metrics[name] / BARS[name][1] for name in names])
    axes.axvline(1.0, color="tab:red", label="bar")
    axes.set(xlabel="share of the bar", title="A hub that does nothing")
    axes.legend()


def main() -> None:
    """Measures, prints, writes."""
    arguments = harness.arguments(__doc__, rounds=1)
    arguments.add_argument("--seconds", type=float, default=600.0, help="half of them without a page, half with one")
    arguments.add_argument("--settle", type=float, default=120.0, help="longest wait for the runners to be unloaded")
    chosen = arguments.parse_args()
    with running_hub() as hub:
        token = token_of_viewer()
        settle(hub, chosen.settle)
        rounds = harness.rounds(chosen.rounds, lambda _: measure(hub, token, chosen.seconds))
    metrics = harness.medians([one.found.metrics for one in rounds])
    last = rounds[-1].found
    details = {
        "seconds": chosen.seconds,
        "pss_mb_by_process": dict(last.memory),
        "pss_mb_with_page": last.memory_with_page,
        "messages_to_the_page": last.messages,
    }
    heading = harness.title("A hub that does nothing", BARS)
    harness.print_table(heading, ("what", "value"), [*metrics.items(), *details.items()])
    loads = [one.load for one in rounds]
    harness.publish(
        "idle", metrics, details, lambda axes: draw(axes, metrics), bars=BARS, loads=loads, strict=chosen.strict
    )
