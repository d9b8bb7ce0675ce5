"""Blobs by signed URL: what nodes and the hub send each other."""

from __future__ import annotations

import logging
import re
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import parse_qs

from django.db import DatabaseError

from clustercore.access.services.async_waiting import in_thread
from clustercore.blobs.adapters.files import SPARE_BYTES, Incoming
from clustercore.blobs.adapters.store import Store
from clustercore.blobs.domain.errors import BlobCorrupt, BlobMissing, BlobUnavailable, StoreFull
from clustercore.blobs.domain.signing import refusal
from clustercore.blobs.selectors import hub_now
from clustercore.blobs.services import adopt, local_store, renew, stored_paths
from clustercore.blobs.sockets.bodies import (
    Body,
    ClientLeft,
    Receive,
    Scope,
    Send,
    headers_of,
    length_of,
)
from clustercore.blobs.sockets.writing import BlockWriter, pour
from clustercore.config.environment import environment

logger = logging.getLogger(__name__)

_PATH = re.compile(r"/blobs/([0-9a-f]{64})")
_STRANGERS_DRAIN_BYTES = 1 << 20


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


def takes_signed(scope: Scope) -> bool:
    """Whether a request is a PUT of a blob."""
    return scope["method"] == "PUT" and _PATH.fullmatch(scope["path"]) is not None


async def serve_signed(scope: Scope, receive: Receive, send: Send) -> None:
    """Takes the blob, or says why not."""
    await _take_upload(_upload_of(scope, scope["path"].rpartition("/")[2]), receive, send)


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
        admitted = await in_thread(lambda: _admit(upload))
        if isinstance(admitted, Answer):
            return admitted
        store = admitted
        with store.receive() as incoming:
            otherwise = BlobCorrupt("more bytes came than Content-Length said; nothing was kept")
            writer = BlockWriter(incoming, (upload.length, otherwise))
            await pour(body, writer, writer.take)
            return await in_thread(lambda: _keep(store, incoming, upload))
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
    if upload.length + SPARE_BYTES > free:
        return Answer(507, f"{upload.length} bytes do not fit: {free} are free on the hub's disk")
    return None


def _known_already(store: Store, upload: Upload) -> Answer | None:
    with suppress(BlobMissing):
        if renew(upload.sha256) and stored_paths(store, [upload.sha256]):
            return Answer(200, "known already")
    return None


def _keep(store: Store, incoming: Incoming, upload: Upload) -> Answer:
    adopt(store, incoming.finish_as(upload.sha256), upload.media_type)
    return Answer(201, "stored")


def _upload_of(scope: Scope, sha256: str) -> Upload:
    query = parse_qs(scope["query_string"].decode("latin-1"))
    headers = headers_of(scope)
    return Upload(
        sha256=sha256,
        expires=query.get("expires", [""])[0],
        signature=query.get("signature", [""])[0],
        length=length_of(headers),
        media_type=headers.get("content-type", ""),
    )


async def _send(answer: Answer, send: Send) -> None:
    body = (answer.text + "\n").encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": True})
