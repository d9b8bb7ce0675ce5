"""What `up --listen` opens is what docs/network.md says, and no more is reached from another machine."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from clustercore.config.interpreter import child_variables, python_command
from clustercore.project.flower.process import wanted_path
from tests.architecture.source import ROOT
from tests.faults.namespaces import HUB_ADDRESS, Namespace, namespace, why_not
from tests.faults.waiting import until
from tests.web.hub import flower_answers

pytestmark = pytest.mark.timeout(240)

START_SECONDS = 90.0
PROGRAMS = {
    # A word of the command line tells the program; the first that fits counts.
    "web process": "project.web",
    "Flower": "run_celery",
    "supervisor": "adapters.supervisor",
    "PostgreSQL": "postgres",
    "Redis": "valkey",
    "gateway": "command_line.main",
}
PROBE = Path(__file__).with_name("stranger.py")


@dataclass(frozen=True)
class Up:
    """A hub as people start it."""

    process: psutil.Process
    data_directory: Path
    state: dict[str, Any]


@contextmanager
def up(directory: Path, listen: str, *more: str) -> Iterator[Up]:
    """`clustercore up --listen` without a node, until the end of the block."""
    words = ["--data-dir", str(directory), "up", "--listen", listen, "--no-node", *more]
    unset = ("DATABASE_URL", "REDIS_URL", "CLUSTERCORE_DATA_DIR", "CLUSTERCORE_TEST_DATA_DIR", "DJANGO_SETTINGS_MODULE")
    log = directory / "up.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            python_command("-m", "clustercore.project.command_line.main", *words),
            env=child_variables(dict.fromkeys(unset)),
            stdout=output,
            stderr=output,
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        state: dict[str, Any] = {}
        while state.get("phase") != "ready":
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
            with suppress(OSError, ValueError):
                state = json.loads((directory / "run" / "up.json").read_text())
        yield Up(psutil.Process(process.pid), directory, state)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


@pytest.fixture
def data_directory() -> Iterator[Path]:
    """Short enough for sockets, and open to the account that PostgreSQL runs as."""
    with tempfile.TemporaryDirectory(prefix="cc-net-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


def programs_of(hub: Up) -> list[psutil.Process]:
    """Everything that belongs to the hub: what `up` started, and the supervisor, which detached itself."""
    found = [hub.process, *hub.process.children(recursive=True)] if hub.process.is_running() else []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            words = process.cmdline()
            if str(hub.data_directory) in " ".join(words) and process not in found:
                found += [process, *process.children(recursive=True)]
    return list(dict.fromkeys(found))


def name_of(process: psutil.Process) -> str:
    words = " ".join(process.cmdline())
    return next((name for name, word in PROGRAMS.items() if word in words), words)


def opened(hub: Up) -> set[tuple[str, str, str]]:
    """Program, protocol, and where: `loopback`, `--listen`, or the socket's place in the data directory."""
    found = set()
    for process in programs_of(hub):
        with suppress(psutil.NoSuchProcess):
            for one in process.net_connections(kind="inet"):
                if one.status == psutil.CONN_LISTEN:
                    asked = f"{one.laddr.ip}:{one.laddr.port}" == hub.state["listens_on"]
                    where = (
                        "--listen" if asked else "loopback" if one.laddr.ip in ("127.0.0.1", "::1") else str(one.laddr)
                    )
                    found.add((name_of(process), "TCP", f"`{where}`" if asked else where))
            for one in process.net_connections(kind="unix"):
                if one.laddr and str(one.laddr).startswith(str(hub.data_directory)):
                    found.add((name_of(process), "socket", f"`{place_of(hub, str(one.laddr))}`"))
    return found


def reached_from(hub: Up, address: str, port: int) -> str:
    if f"{address}:{port}" == hub.state["listens_on"]:
        return "`--listen`"
    return "loopback" if address in ("127.0.0.1", "::1") else address


def place_of(hub: Up, path: str) -> str:
    relative = path.removeprefix(f"{hub.data_directory}/")
    return "run/postgres/" if relative.startswith("run/postgres/") else relative


def documented() -> set[tuple[str, str, str]]:
    """The first table of docs/network.md."""
    table = (ROOT / "docs" / "network.md").read_text(encoding="utf-8").partition("## The gateway")[0]
    rows = re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \| .+ \|$", table, re.MULTILINE)
    return {row for row in rows if row[0] != "program"}


def test_a_hub_opens_what_is_documented_and_nothing_else(data_directory: Path) -> None:
    with up(data_directory, "127.0.0.1:0") as hub:
        assert opened(hub) == {row for row in documented() if row[0] != "Flower"}
        look_at_flower(data_directory)
        until(lambda: opened(hub) == documented(), 30, lambda: f"{opened(hub)} is not {documented()}")
        [flower] = [process for process in programs_of(hub) if name_of(process) == "Flower"]
        flower.kill()
        flower.wait(10)
        until(lambda: flower_answers(data_directory), 30, "Flower is not started again")
        look_at_flower(data_directory, hours_ago=1)
        again = [one for one in hub.process.children() if name_of(one) == "Flower"]
        until(lambda: not any(one.is_running() for one in again), 30, "Flower does not end")
    assert programs_of(hub) == []


def look_at_flower(data_directory: Path, hours_ago: float = 0) -> None:
    """As the web process does when an administrator asks for a page of it."""
    moment = time.time() - hours_ago * 3600
    os.utime(wanted_path(data_directory), (moment, moment))


def test_a_hub_without_flower_opens_no_socket_of_it(data_directory: Path) -> None:
    with up(data_directory, "127.0.0.1:0", "--no-flower") as hub:
        with pytest.raises(FileNotFoundError):
            look_at_flower(data_directory)
        assert opened(hub) == {row for row in documented() if row[0] != "Flower"}


@pytest.fixture
def elsewhere() -> Iterator[Namespace]:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with namespace() as place:
        yield place


def test_another_machine_without_credentials_gets_nowhere(data_directory: Path, elsewhere: Namespace) -> None:
    """A25: every port that this machine listens on is tried from there, and what lies behind the one that is open."""
    with up(data_directory, f"{HUB_ADDRESS}:0") as hub:
        gateway = int(hub.state["listens_on"].rpartition(":")[2])
        listening = [one.laddr for one in psutil.net_connections("tcp") if one.status == psutil.CONN_LISTEN]
        ports = sorted({address.port for address in listening if address})
        database = urlsplit(hub.state["database_url"])
        words = [*elsewhere.prefix, *python_command(str(PROBE), HUB_ADDRESS, str(gateway), str(database.username))]
        answered = subprocess.run([*words, *map(str, ports)], capture_output=True, text=True, timeout=120, check=True)
    seen = json.loads(answered.stdout)
    assert gateway in seen["open"]
    ours = {gateway, int((data_directory / "run" / "web.port").read_text())}
    assert set(seen["open"]) & ours == {gateway}
    assert "password" in seen["postgres"]
    assert set(seen["redis"].values()) == {"NOAUTH"}
    expected = {
        "/": 302,
        "/jobs/": 302,
        "/admin/": 302,
        "/flower/": 302,
        "/people/": 302,
        "/api/v1/jobs": 401,
        "/api/v1/nodes": 401,
        "/v1/models": 401,
        "/metrics": 401,
        "/live": 403,
        f"/blobs/{'a' * 64}": 403,
        "/healthz": 200,
        "/sign-in/": 200,
    }
    assert seen["web"] == expected
