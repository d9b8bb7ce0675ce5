"""The web process as it is started: its address, its end, and what it sends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

START = "import sys, pathlib; from clustercore.project.web import serve; serve(unix_socket=pathlib.Path(sys.argv[1]))"


@pytest.fixture
def unix_socket(tmp_path: Path) -> Path:
    return tmp_path / "web.sock"


@pytest.fixture
def process(unix_socket: Path, service_environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    started = subprocess.Popen(
        [sys.executable, "-c", START, str(unix_socket)], env=service_environment, stderr=subprocess.PIPE
    )
    yield started
    if started.poll() is None:
        started.kill()
        started.communicate()


def client(unix_socket: Path) -> httpx.Client:
    return httpx.Client(transport=httpx.HTTPTransport(uds=str(unix_socket)), base_url="http://localhost", timeout=10)


def wait_until_alive(unix_socket: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while not unix_socket.exists():
        assert time.monotonic() < deadline and process.poll() is None, "the web process did not come up"
        time.sleep(0.05)
    with client(unix_socket) as asking:
        assert asking.get("/healthz").text == "ok\n"


@pytest.mark.skipif(os.name != "posix", reason="a hub runs on Linux or macOS")
def test_it_serves_on_a_unix_socket_and_ends_in_order_when_told(
    process: subprocess.Popen[bytes], unix_socket: Path
) -> None:
    wait_until_alive(unix_socket, process)
    with client(unix_socket) as asking:
        assert asking.get("/readyz").json()["ready"] is True
        assert asking.get("/sign-in/").status_code == 200
        styles = asking.get("/static/unfold/css/styles.css")
        assert (styles.status_code, styles.headers["Content-Type"]) == (200, 'text/css; charset="utf-8"')
        part = asking.get(
            "/static/unfold/css/styles.css", headers={"Range": "bytes=0-9", "Accept-Encoding": "identity"}
        )
        assert (part.status_code, len(part.content)) == (206, 10)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 0
    assert b"Traceback" not in said
    assert b"Warning" not in said
