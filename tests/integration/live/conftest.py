"""The web process in a thread of the test's own, with a kind of job that only tests know."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from clustercore.jobs.domain import kinds
from clustercore.project.web import server
from tests.fakes.jobs import kinds as fake_kinds
from tests.fakes.nodes.polling import until


@pytest.fixture(autouse=True)
def sums(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[kinds.JobKind]:
    monkeypatch.setitem(kinds._KINDS, "sums", fake_kinds.SUMS)
    fake_kinds.HELD.clear()
    yield fake_kinds.SUMS


@dataclass(frozen=True, slots=True)
class Web:
    """A web process."""

    port: int

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def open(self, *, token: str = "", user: User | None = None, origin: str | None = None) -> ClientConnection:
        """A page's socket: by a session from our own page, or a program's by its token."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if user is not None:
            headers["Cookie"] = f"sessionid={session_of(user)}"
            origin = origin or f"http://{self.host}"
        return connect(
            f"ws://{self.host}/live",
            origin=Origin(origin) if origin is not None else None,
            additional_headers=headers,
            open_timeout=20,
            proxy=None,
        )


def session_of(user: User) -> str:
    client = Client()
    client.force_login(user)
    return client.cookies["sessionid"].value


@pytest.fixture
def web(sums: kinds.JobKind) -> Iterator[Web]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
    process = server(port=port)
    thread = threading.Thread(target=process.run, name="web")
    thread.start()
    until(lambda: process.started or not thread.is_alive(), 30)
    assert process.started
    yield Web(port)
    process.should_exit = True
    thread.join(20)
    assert not thread.is_alive()
    connections.close_all()


def follow(page: ClientConnection, *topics: str) -> None:
    page.send(json.dumps({"follow": topics}))


def heard(page: ClientConnection, timeout: float = 10.0) -> dict[str, Any]:
    """The next thing that the server says."""
    body: dict[str, Any] = json.loads(page.recv(timeout))
    return body


def heard_until(page: ClientConnection, text: str, timeout: float = 10.0) -> dict[str, Any]:
    """The first message from now on that has this text in its HTML."""
    deadline = time.monotonic() + timeout
    while True:
        body = heard(page, deadline - time.monotonic())
        if any(text in html for html in body.get("html", {}).values()):
            return body
