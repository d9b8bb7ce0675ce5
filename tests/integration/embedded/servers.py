"""What the tests ask of running servers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil
import psycopg
import redis

from clustercore.embedded.domain.endpoints import Endpoints
from clustercore.embedded.services import status

PROJECT = Path(__file__).resolve().parents[3]


def eventually(condition: Callable[[], bool], seconds: float = 15.0) -> bool:
    """Whether the condition came true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def write_to_both(endpoints: Endpoints, value: str) -> None:
    """Durable when it returns: PostgreSQL has committed, Redis has its file on disk."""
    with psycopg.connect(endpoints.database_url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (value text)")
        connection.execute("INSERT INTO kept VALUES (%s)", [value])
    with redis.Redis.from_url(endpoints.redis_url) as client:
        client.rpush("kept", value)
        assert client.execute_command("WAITAOF", 1, 0, 5000)[0] == 1


def read_from_both(endpoints: Endpoints) -> tuple[list[str], list[str]]:
    with psycopg.connect(endpoints.database_url) as connection:
        rows = [str(row[0]) for row in connection.execute("SELECT value FROM kept")]
    with redis.Redis.from_url(endpoints.redis_url) as client:
        values = client.lrange("kept", 0, -1)
    return rows, [value.decode() for value in values]


def process_ids(data_dir: Path) -> dict[str, int]:
    """The numbers of the supervisor and both servers by name."""
    state = status(data_dir)
    servers = {name: int(server["pid"]) for name, server in state["servers"].items()}
    return {"supervisor": int(state["pid"])} | servers


def restarts_of(data_dir: Path, server: str) -> int:
    return int(status(data_dir)["servers"][server]["restarts"])


def is_ready(data_dir: Path) -> bool:
    return bool(status(data_dir)["phase"] == "ready")


def kill(pid: int) -> None:
    """Kill -9, and wait until the process is gone or a zombie."""
    os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: not is_alive(pid))


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


HOLDER = """
import json, sys
from pathlib import Path
from clustercore.embedded.services import ensure_running, status
data_dir = Path(sys.argv[1])
with ensure_running(data_dir, linger_seconds=float(sys.argv[2])) as lease:
    print(json.dumps({"pid": status(data_dir)["pid"], "url": lease.endpoints.database_url}), flush=True)
    sys.stdin.read()
"""


class Holder:
    """Another process that holds the servers until `close`, as another command of the product would."""

    def __init__(self, data_dir: Path, linger_seconds: float = 1, prefix: Sequence[str] = ()) -> None:
        command = [*prefix, sys.executable, "-c", HOLDER, str(data_dir), str(linger_seconds)]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=PROJECT,
        )

    def answer(self) -> dict[str, Any]:
        """What it says when the servers take clients."""
        assert self.process.stdout is not None
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def close(self) -> None:
        self.process.communicate()
