"""Taking blobs: PUT by signed URL, as ASGI itself.

Django writes a whole request body to the system's temporary directory before it calls a view. Here the signature and
the length are looked at before the first byte is read, and the bytes go straight to the disk of the store.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import parse_qs

from django.db import DatabaseError, connections

from clustercore.blobs.adapters.files import BLOCK_BYTES, Incoming
from clustercore.blobs.adapters.store import Store
from clustercore.blobs.domain.errors import BlobCorrupt, BlobUnavailable, StoreFull
from clustercore.blobs.domain.signing import refusal
from clustercore.blobs.selectors import existing, hub_now
from clustercore.blobs.services import adopt, local_store
from clustercore.config.environment import environment

Scope = dict[str, Any]
Message = Mapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
T = TypeVar("T")

logger = logging.getLogger(__name__)

_PATH = re.compile(r"/blobs/([0-9a-f]{64})")
_STRANGERS_DRAIN_BYTES = 1 << 20
_SILENCE_SECONDS = 30.0
_SPARE_BYTES = 64 << 20
"""Room that an upload must leave on the disk, for the servers beside the store."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and its one line of text."""

    status: int
    text: str


@dataclass(frozen=True, slots=True)
class Upload:
    """What a PUT says of itself; `length` in bytes, -1 if it does not say."""

    sha256: str
    expires: str
    signature: str
    length: int
    media_type: str


class ClientLeft(Exception):
    """The connection ended before the body did."""


class Body:
    """The body of a request as it comes in."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.more = True

    async def next_block(self) -> bytes:
        """Raises ClientLeft, and TimeoutError when nothing comes for half a minute."""
        async with asyncio.timeout(_SILENCE_SECONDS):
            message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        self.more = message.get("more_body", False)
        block: bytes = message.get("body", b"")
        return block

    async def drain(self, most: int) -> None:
        """Reads and forgets the rest, up to so many bytes."""
        seen = 0
        while self.more and seen < most:
            seen += len(await self.next_block())


def with_uploads(application: Application) -> Application:
    """`application`, with uploads of blobs taken in front of it."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        match = _PATH.fullmatch(scope["path"]) if scope["type"] == "http" and scope["method"] == "PUT" else None
        if match is None:
            await application(scope, receive, send)
        else:
            await _take_upload(_upload_of(scope, match.group(1)), receive, send)

    return serve


async def _take_upload(upload: Upload, receive: Receive, send: Send) -> None:
    body = Body(receive)
    try:
        answer = await _answer(upload, body)
        await _send(answer, send)
        # A client that is still sending might not see an answer that came with the end of the connection.
        await body.drain(_STRANGERS_DRAIN_BYTES if answer.status == 403 else upload.length)
    except (ClientLeft, TimeoutError):
        return
    await send({"type": "http.response.body", "body": b""})


async def _answer(upload: Upload, body: Body) -> Answer:
    try:
        admitted = await _with_database(lambda: _admit(upload))
        if isinstance(admitted, Answer):
            return admitted
        store = admitted
        with store.receive() as incoming:
            await _read_body(incoming, upload, body)
            return await _with_database(lambda: _keep(store, incoming, upload))
    except StoreFull as error:
        return Answer(507, str(error))
    except BlobCorrupt as error:
        return Answer(422, str(error))
    except (BlobUnavailable, DatabaseError) as error:
        logger.warning("upload of blob %s failed: %s", upload.sha256, error)
        return Answer(503, "the ledger does not answer, or this cluster has no hub yet")


def _admit(upload: Upload) -> Store | Answer:
    """The store to read the body into, or the answer where there is no need to."""
    hub = hub_now()
    key, now = hub.hub.signing_key, hub.now.timestamp()
    refused = refusal(key, "PUT", upload.sha256, expires=upload.expires, given=upload.signature, now=now)
    if refused is not None:
        return Answer(403, refused.value)
    store = local_store(hub)
    if store is None:
        return Answer(503, "this process does not have the hub's store")
    return _known_already(store, upload) or _too_much(store, upload) or store


def _too_much(store: Store, upload: Upload) -> Answer | None:
    limit_gb = environment().max_upload_gb
    if upload.length < 0:
        return Answer(411, "the upload must say its Content-Length")
    if upload.length > limit_gb * 1e9:
        return Answer(413, f"more than {limit_gb:g} GB (CLUSTERCORE_MAX_UPLOAD_GB)")
    free = store.free_bytes()
    if upload.length + _SPARE_BYTES > free:
        return Answer(507, f"{upload.length} bytes do not fit: {free} are free on the disk of {store.root}")
    return None


def _known_already(store: Store, upload: Upload) -> Answer | None:
    if store.path(upload.sha256).exists() and existing([upload.sha256]):
        return Answer(200, "known already")
    return None


def _keep(store: Store, incoming: Incoming, upload: Upload) -> Answer:
    incoming.finish_as(upload.sha256)
    adopt(store, incoming, upload.sha256, upload.media_type)
    return Answer(201, "stored")


async def _read_body(incoming: Incoming, upload: Upload, body: Body) -> None:
    waiting = bytearray()
    while body.more:
        waiting += await body.next_block()
        if incoming.size + len(waiting) > upload.length:
            raise BlobCorrupt("more bytes came than Content-Length said; nothing was kept")
        if waiting and (not body.more or len(waiting) >= BLOCK_BYTES):
            await asyncio.to_thread(incoming.write, bytes(waiting))
            waiting.clear()


async def _with_database(work: Callable[[], T]) -> T:
    def run() -> T:
        try:
            return work()
        finally:
            # No request of Django's ends here, so nothing else would give this thread's connection back.
            connections.close_all()

    return await asyncio.to_thread(run)


def _upload_of(scope: Scope, sha256: str) -> Upload:
    query = parse_qs(scope["query_string"].decode("latin-1"))
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    length = headers.get("content-length", "")
    return Upload(
        sha256=sha256,
        expires=query.get("expires", [""])[0],
        signature=query.get("signature", [""])[0],
        length=int(length) if length.isdigit() else -1,
        media_type=headers.get("content-type", ""),
    )


async def _send(answer: Answer, send: Send) -> None:
    body = (answer.text + "\n").encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": True})
