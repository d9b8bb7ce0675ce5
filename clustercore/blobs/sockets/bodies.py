"""What every way of taking bytes shares: the body as it comes, the ledger off the event loop, answers."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from django.db import DatabaseError

from clustercore.access.domain.errors import NotIdentified, NotPermitted, TooLarge
from clustercore.access.domain.identity import Identity
from clustercore.access.domain.roles import Permission
from clustercore.access.http.identification import sender_of
from clustercore.access.http.refusals import RequestRefused, refusal_of
from clustercore.blobs.adapters.files import SPARE_BYTES
from clustercore.blobs.adapters.store import Store
from clustercore.blobs.domain.errors import BlobUnavailable, StoreFull
from clustercore.blobs.selectors import hub_now
from clustercore.blobs.services import local_store
from clustercore.config.environment import environment

Scope = dict[str, Any]
Message = Mapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
T = TypeVar("T")

logger = logging.getLogger(__name__)

BLOCK_BYTES = 256 << 10
"""What one upload keeps in memory; smaller than a block of the store, because many upload at once."""
_SILENCE_SECONDS = 30.0
_PATIENCE_SECONDS = 60.0
_SLOWEST_BYTES_PER_SECOND = 1000
_DRAIN_SECONDS = 10.0
_TRUSTED_DRAIN_BYTES = 64 << 20
_STRANGERS_DRAIN_BYTES = 1 << 20


class ClientLeft(Exception):
    """The connection ended before the body did."""


def stopped() -> RequestRefused:
    """Returns what is told where a connection ended too early.

    A hub that stops ends the connections of those who are still sending, as if they had left: they are told when to
    come back. Whoever did leave does not hear it.
    """
    return RequestRefused(503, "the connection ended before the bytes did: send them again", retry_after=5)


class Body:
    """The body of a request as it comes in."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._began = time.monotonic()
        self.more = True
        self.size = 0

    async def receive(self) -> Message:
        """Returns the next message as it came, for an application that reads the body itself."""
        message = await self._receive()
        self.more = message["type"] == "http.request" and message.get("more_body", False)
        return message

    async def next_block(self) -> bytes:
        """Raises ClientLeft, and TimeoutError when nothing comes for half a minute, or a minute brought too little."""
        async with asyncio.timeout(_SILENCE_SECONDS):
            message = await self.receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        block: bytes = message.get("body", b"")
        self.size += len(block)
        waited = time.monotonic() - self._began
        if self.more and waited > _PATIENCE_SECONDS and self.size < waited * _SLOWEST_BYTES_PER_SECOND:
            raise TimeoutError
        return block

    async def drain(self, most: int) -> None:
        """Reads and forgets the rest, up to so many bytes."""
        until = self.size + most
        while self.more and self.size < until:
            await self.next_block()


def headers_of(scope: Mapping[str, Any]) -> dict[str, str]:
    """The headers by lower-case name; of one that was sent twice, the last."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def length_of(headers: Mapping[str, str]) -> int:
    """The Content-Length in bytes; -1 if the request does not say."""
    length = headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() and len(length) < 19 else -1


def hubs_store() -> Store:
    """Returns the store of this hub. Raises BlobUnavailable where this process does not have it."""
    store = local_store(hub_now())
    if store is None:
        raise BlobUnavailable("this process does not have the hub's store")
    return store


def refuse_too_much(store: Store, size: int) -> None:
    """Makes sure that so many bytes may come, and fit. Raises TooLarge, StoreFull."""
    limit_gb = environment().max_upload_gb
    if size > limit_gb * 1e9:
        raise TooLarge(f"more than {limit_gb:g} GB (CLUSTERCORE_MAX_UPLOAD_GB)")
    free = store.free_bytes() - SPARE_BYTES
    if size > free:
        message = f"{size} bytes do not fit: {max(free, 0)} are free on the hub's disk; remove jobs that are done with"
        raise StoreFull(message)


class CredentialMissing(NotIdentified):
    """Nobody known sends this."""

    code = "missing_api_key"


def require_sender(scope: Scope, permission: Permission, otherwise: str, *, changes: bool) -> Identity:
    """Returns who sends a request. Raises CredentialMissing, NotPermitted (`otherwise`), and as `sender_of`."""
    identity = sender_of(scope, changes=changes)
    if not identity.is_known:
        raise CredentialMissing("send `Authorization: Bearer cc_…`, or sign in")
    if not identity.may(permission):
        raise NotPermitted(otherwise)
    return identity


def as_refusal(error: Exception) -> RequestRefused:
    """What a client is told of an error that may end an upload. Raises the error when it is none of those."""
    foreseen = refusal_of(error)
    if foreseen is not None:
        return foreseen
    match error:
        case DatabaseError():
            logger.warning("an upload failed: %s", error)
            return RequestRefused(503, "the ledger does not answer: try again", code="no_ledger", retry_after=5)
        case TimeoutError():
            return RequestRefused(408, "the body came too slowly: send it again", code="too_slow")
        case _:
            raise error


async def answer(send: Send, status: int, headers: Mapping[str, str], document: Any = None) -> None:
    """Sends a whole answer but for its end, so that a client still sending can be heard out first: see `finish`.

    `document` is text, or what is told as JSON.
    """
    is_text = isinstance(document, str)
    body = b"" if document is None else (document if is_text else json.dumps(document, ensure_ascii=False)).encode()
    media_type = "text/plain; charset=utf-8" if is_text else "application/json"
    told = {
        **({"content-type": media_type} if body else {}),
        **({} if status == 204 else {"content-length": str(len(body))}),
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        **headers,
    }
    pairs = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in told.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def refuse(error: RequestRefused, body: Body, send: Send, headers: Mapping[str, str] | None = None) -> None:
    """The refusal in the one shape of errors, and the end of the request."""
    told = dict(headers or {})
    if error.retry_after is not None:
        told["retry-after"] = str(error.retry_after)
    if error.status == 401:
        told["www-authenticate"] = 'Bearer realm="clustercore"'
    await answer(send, error.status, told, error.body)
    await finish(body, send, trusted=error.status not in (401, 403))


async def finish(body: Body, send: Send, *, trusted: bool = True) -> None:
    """Ends the answer. A client that is still sending might not see one that came with the end of the connection."""
    try:
        async with asyncio.timeout(_DRAIN_SECONDS):
            await body.drain(_TRUSTED_DRAIN_BYTES if trusted else _STRANGERS_DRAIN_BYTES)
    except (ClientLeft, TimeoutError):
        pass
    await send({"type": "http.response.body", "body": b""})
