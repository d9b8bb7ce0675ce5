"""Requests as they come to the web process: through the gate, in this process."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import httpx
from asgiref.sync import async_to_sync
from django.test import Client

from clustercore.project.asgi import application
from tests.people import person


@dataclass(frozen=True)
class Caller:
    """Somebody with a browser or a program, at an address."""

    headers: dict[str, str] = field(default_factory=dict)
    address: str = "127.0.0.1"

    def ask(self, path: str, method: str = "GET", **options: Any) -> httpx.Response:
        """One request; `headers` go beside those of the caller."""
        [answer] = self.ask_at_once([path], method, **options)
        return answer

    def ask_at_once(self, paths: Iterable[str], method: str = "GET", **options: Any) -> list[httpx.Response]:
        """Requests that come one after another, in one event loop."""

        async def ask() -> list[httpx.Response]:
            transport = httpx.ASGITransport(app=application, client=(self.address, 5), raise_app_exceptions=False)
            address = "http://testserver"
            async with httpx.AsyncClient(
                transport=transport, base_url=address, headers=self.headers, timeout=30
            ) as client:
                return [await client.request(method, path, **options) for path in paths]

        return async_to_sync(ask)()


def stranger(address: str = "127.0.0.1") -> Caller:
    """Nobody known."""
    return Caller(address=address)


def bearer(token: str) -> Caller:
    """A program with a token."""
    return Caller({"Authorization": f"Bearer {token}"})


def signed_in(name: str) -> Caller:
    """A member of the cast with a session."""
    client = Client()
    client.force_login(person(name))
    return Caller({"Cookie": f"sessionid={client.session.session_key}"})
