"""A whole hub as `clustercore up --listen` opens it, and a machine on the same network that has no password."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

import clustercore
from clustercore.embedded.adapters.secrets import free_loopback_port
from clustercore.embedded.services import stop
from tests.faults.namespaces import HUB_ADDRESS, Namespace, namespace, why_not

pytestmark = pytest.mark.services
ROOT = Path(clustercore.__file__).resolve().parents[1]

KNOCK = """
import json, socket, sys
results = []
for port, words in json.load(sys.stdin):
    try:
        with socket.create_connection((sys.argv[1], port), timeout=5) as link:
            link.sendall(bytes.fromhex(words))
            link.settimeout(5)
            results.append(link.recv(4000).decode("latin-1"))
    except OSError as error:
        results.append(type(error).__name__)
print(json.dumps(results))
"""
"""Says some bytes to some ports, and tells what came back."""


@dataclass(frozen=True)
class OpenHub:
    """What `up` started, and where it listens for other machines."""

    data_dir: Path
    port: int

    def processes(self) -> list[psutil.Process]:
        """`up`, and everything that it started."""
        state = json.loads((self.data_dir / "run" / "up.json").read_text())
        mine = str(self.data_dir)
        children = psutil.Process(state["pid"]).children(recursive=True)
        servers = [one for one in psutil.process_iter() if mine in _command_of(one)]
        return [psutil.Process(state["pid"]), *children, *servers]


def _command_of(process: psutil.Process) -> str:
    try:
        parents = [process, *process.parents()]
        return " ".join(word for one in parents for word in one.cmdline())
    except psutil.Error:
        return ""


def type_command(data_dir: Path, *words: str) -> subprocess.CompletedProcess[str]:
    private = ("DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE")
    own = {name: value for name, value in os.environ.items() if name not in private}
    own = {name: value for name, value in own.items() if not name.startswith("CLUSTERCORE_")}
    return subprocess.run(
        [sys.executable, "-m", "clustercore.project.command_line.main", *words],
        env={**own, "CLUSTERCORE_DATA_DIR": str(data_dir), "PYTHONPATH": str(ROOT), "CLUSTERCORE_GRACE_SECONDS": "1"},
        cwd=data_dir,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def stranger() -> Iterator[Namespace]:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with namespace() as place:
        yield place


@pytest.fixture(scope="module")
def hub(stranger: Namespace) -> Iterator[OpenHub]:
    data_dir = Path(tempfile.mkdtemp(prefix="clustercore-open-"))
    data_dir.chmod(0o711)
    port = free_loopback_port()
    try:
        started = type_command(data_dir, "up", "-d", "--listen", f"{HUB_ADDRESS}:{port}", "--slots", "1")
        assert started.returncode == 0, started.stderr
        yield OpenHub(data_dir, port)
    finally:
        type_command(data_dir, "down")
        stop(data_dir)
        shutil.rmtree(data_dir, ignore_errors=True)


def listening(hub: OpenHub) -> dict[tuple[str, int], str]:
    """Every TCP address on which a process of the hub listens, and the process's name."""
    found = {}
    for process in hub.processes():
        try:
            for one in process.net_connections("tcp"):
                if one.status == psutil.CONN_LISTEN:
                    found[one.laddr.ip, one.laddr.port] = process.name()
        except psutil.NoSuchProcess:
            continue
    return found


def knock(stranger: Namespace, messages: list[tuple[int, bytes]]) -> list[str]:
    """What a machine of the same network is answered to bytes that it sends to ports."""
    said = json.dumps([(port, words.hex()) for port, words in messages])
    done = subprocess.run(
        [*stranger.prefix, sys.executable, "-c", KNOCK, HUB_ADDRESS],
        input=said,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    answers: list[str] = json.loads(done.stdout)
    assert len(answers) == len(messages)
    return answers


def test_other_machines_reach_one_port_and_everything_else_is_on_loopback(hub: OpenHub) -> None:
    """The list that docs/security.md gives."""
    addresses = listening(hub)
    assert [address for address in addresses if address[0] != "127.0.0.1"] == [(HUB_ADDRESS, hub.port)]
    # Loopback: Redis and the web process. PostgreSQL and Flower have sockets that only the hub's account may open.
    assert len(addresses) == 3, addresses
    sockets = [path for path in hub.data_dir.rglob("*") if stat.S_ISSOCK(path.lstat().st_mode)]
    assert {path.name for path in sockets} >= {".s.PGSQL.5432", "flower.sock"}
    for path in sockets:
        assert _closed_to_others(path, hub.data_dir), path


def _closed_to_others(path: Path, root: Path) -> bool:
    """Whether the socket, or a folder on the way to it, refuses everybody but its owner and its group."""
    way = [path, *(parent for parent in path.parents if parent.is_relative_to(root) and parent != root)]
    return any(not step.lstat().st_mode & 0o007 for step in way)


def test_the_loopback_ports_are_not_there_for_others(hub: OpenHub, stranger: Namespace) -> None:
    ports = [port for address, port in listening(hub) if address == "127.0.0.1"]
    assert ports
    assert set(knock(stranger, [(port, b"PING\r\n") for port in ports])) == {"ConnectionRefusedError"}


REDIS = [
    b"PING\r\n",
    b"*1\r\n$4\r\nPING\r\n",
    b"*2\r\n$4\r\nKEYS\r\n$1\r\n*\r\n",
    b"*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n",
    b"*4\r\n$6\r\nCONFIG\r\n$3\r\nSET\r\n$3\r\ndir\r\n$4\r\n/tmp\r\n",
    b"*3\r\n$4\r\nEVAL\r\n$8\r\nreturn 1\r\n$1\r\n0\r\n",
    b"*1\r\n$8\r\nFLUSHALL\r\n",
    b"*2\r\n$4\r\nAUTH\r\n$5\r\nguess\r\n",
    b"*3\r\n$4\r\nAUTH\r\n$7\r\ndefault\r\n$0\r\n\r\n",
]


def test_redis_answers_nothing_without_its_password(hub: OpenHub, stranger: Namespace) -> None:
    answers = knock(stranger, [(hub.port, words) for words in REDIS])
    refusals = ("-NOAUTH", "-WRONGPASS", "-ERR")
    assert [said for said in answers if said and not said.startswith(refusals)] == []


def postgresql_startup(user: str, database: str) -> bytes:
    body = (196_608).to_bytes(4, "big") + f"user\0{user}\0database\0{database}\0\0".encode()
    return (len(body) + 4).to_bytes(4, "big") + body


def test_postgresql_asks_for_a_password_whoever_comes(hub: OpenHub, stranger: Namespace) -> None:
    people = [
        ("clustercore", "clustercore"),
        ("postgres", "postgres"),
        ("clustercore", "postgres"),
        ("root", "template1"),
    ]
    answers = knock(stranger, [(hub.port, postgresql_startup(*one)) for one in people])
    for said in answers:
        # An authentication request (10: SCRAM) or an error; never 0, which is "come in".
        assert said[:1] == "E" or (said[:1] == "R" and int.from_bytes(said[5:9].encode("latin-1"), "big") == 10), said


def http(path: str, method: str = "GET", host: str = HUB_ADDRESS) -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()


PATHS = [
    *("/", "/jobs/", "/audit/", "/admin/", "/flower/", "/flower/api/workers", "/flower/metrics", "/metrics", "/live"),
    *("/api/v1/jobs", "/api/v1/status", "/api/v1/schema", "/v1/models", "/blobs/" + "0" * 64, "/../../etc/passwd"),
]


def test_no_page_and_no_address_for_programs_is_open(hub: OpenHub, stranger: Namespace) -> None:
    asked = [(path, host) for path in PATHS for host in (HUB_ADDRESS, "localhost", "evil.example")]
    answers = knock(stranger, [(hub.port, http(path, host=host)) for path, host in asked])
    for (path, host), said in zip(asked, answers, strict=True):
        status, head = int(said.split(" ", 2)[1]), said.partition("\r\n\r\n")[0].lower()
        assert status in (301, 302, 400, 401, 403, 404, 421), (path, host, said[:300])
        assert status not in (301, 302) or "location: /sign-in/" in head or "location: /admin/login/" in head, path


def test_what_is_neither_protocol_is_answered_with_nothing_of_ours(hub: OpenHub, stranger: Namespace) -> None:
    odd = [b"\x00" * 64, b"\xff" * 64, b"\x16\x03\x01" + bytes(60), b"SSH-2.0-x\r\n"]
    *answers, after = knock(stranger, [(hub.port, words) for words in [*odd, http("/healthz")]])
    assert [said for said in answers if "clustercore" in said.lower()] == []
    assert " 200 " in after


def test_the_port_is_shut_once_the_hub_is_down(hub: OpenHub) -> None:
    """Last: it takes the hub down."""
    assert type_command(hub.data_dir, "down").returncode == 0
    with socket.socket() as probe:
        assert probe.connect_ex((HUB_ADDRESS, hub.port)) != 0
