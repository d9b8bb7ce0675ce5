"""Resumable uploads: the tus protocol 1.0 (core, creation, termination, expiration) at `/api/v1/uploads`.

What came before a connection broke stays: `HEAD` tells how much, `PATCH` goes on from there. Only its owner sees an
upload.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from django.utils.http import http_date

from clustercore.access.domain.errors import RequestRefused
from clustercore.access.domain.identity import Identity
from clustercore.access.domain.roles import Permission
from clustercore.access.services.identification import identity_of_scope
from clustercore.blobs.adapters.partial import PartialFile
from clustercore.blobs.adapters.store import Store
from clustercore.blobs.domain.uploads import (
    CONTENT_TYPE,
    EXTENSIONS,
    VERSION,
    UploadState,
    metadata_of,
    plain_number,
    printable,
)
from clustercore.blobs.models import Upload
from clustercore.blobs.selectors import promised_bytes, uploads_of
from clustercore.blobs.services import end_upload, note_upload, open_upload
from clustercore.blobs.sockets.bodies import (
    BLOCK_BYTES,
    STOPPED,
    Body,
    ClientLeft,
    Receive,
    Scope,
    Send,
    answer,
    as_refusal,
    finish,
    headers_of,
    hubs_store,
    length_of,
    refuse,
    refuse_too_much,
    with_database,
)
from clustercore.config.environment import environment

PATH = "/api/v1/uploads"
_ONE = re.compile(PATH + r"/([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})/?")
_SPOKEN = {"tus-resumable": VERSION}
_WRITERS: dict[UUID, asyncio.Task[int]] = {}
"""Who is taking bytes for an upload now; the web process is one process."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request to the upload service; `upload_id` is None at the collection."""

    scope: Scope
    method: str
    upload_id: UUID | None
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and what its headers say; there is never a body."""

    status: int
    headers: Mapping[str, str]


def takes_upload(scope: Scope) -> bool:
    """Whether a request speaks tus; a plain GET is Django's."""
    if scope["path"] in (PATH, PATH + "/"):
        return scope["method"] in ("POST", "OPTIONS")
    return _ONE.fullmatch(scope["path"]) is not None and scope["method"] in (
        "HEAD", "PATCH", "DELETE", "OPTIONS", "POST",
    )  # fmt: skip


async def serve_upload(scope: Scope, receive: Receive, send: Send) -> None:
    """One request of the protocol."""
    body = Body(receive)
    try:
        told = await _answer(_request_of(scope), body)
        await answer(send, told.status, {**_SPOKEN, **told.headers})
        await finish(body, send)
    except ClientLeft:
        await refuse(STOPPED, body, send)
    except Exception as error:  # what is no refusal is raised again
        refusal = as_refusal(error)
        supported = {"tus-version": VERSION} if refusal.status == 412 else {}
        await refuse(refusal, body, send, {**_SPOKEN, **supported})


def _request_of(scope: Scope) -> Request:
    headers = headers_of(scope)
    match = _ONE.fullmatch(scope["path"])
    method = str(scope["method"])
    if method == "POST":
        # For clients whose networks let nothing else pass.
        method = headers.get("x-http-method-override", "POST").upper()
    return Request(scope, method, UUID(match[1]) if match else None, headers)


async def _answer(request: Request, body: Body) -> Answer:
    if request.method == "OPTIONS":
        return Answer(204, {"tus-version": VERSION, "tus-extension": EXTENSIONS, "tus-max-size": str(_limit_bytes())})
    if request.headers.get("tus-resumable") != VERSION:
        raise RequestRefused(412, f"send the header `Tus-Resumable: {VERSION}`", code="tus_version")
    if request.upload_id is None:
        if request.method != "POST":
            raise RequestRefused(405, f"{request.method} is not for the collection: POST makes an upload")
        return await with_database(lambda: _create(request))
    store, upload = await with_database(lambda: _find(request))
    match request.method:
        case "HEAD":
            return await _head(store, upload)
        case "PATCH":
            return await _patch(store, upload, request, body)
        case "DELETE":
            await _interrupt(upload.pk)
            await with_database(lambda: end_upload(store, upload.pk))
            return Answer(204, {})
    raise RequestRefused(405, f"{request.method} is not for an upload: HEAD, PATCH and DELETE are")


def _sender(request: Request) -> Identity:
    changes = request.method != "HEAD"
    identity = identity_of_scope(request.scope, changes=changes)
    if not identity.is_known:
        raise RequestRefused(401, "send `Authorization: Bearer cc_…`, or sign in", code="missing_api_key")
    if not identity.may(Permission.SUBMIT):
        raise RequestRefused(403, f"uploading needs the permission {Permission.SUBMIT.value!r}", code="not_permitted")
    return identity


def _create(request: Request) -> Answer:
    owner_id = _sender(request).user_id
    assert owner_id is not None
    size = plain_number(request.headers.get("upload-length", ""))
    if not size:
        message = "Upload-Length must say the whole size in bytes: a number from 1, of at most 15 digits"
        raise RequestRefused(400, message, param="Upload-Length")
    try:
        told = metadata_of(request.headers.get("upload-metadata", ""))
    except ValueError as error:
        raise RequestRefused(400, str(error), param="Upload-Metadata") from None
    store = hubs_store()
    refuse_too_much(store, size, promised_bytes())
    name = printable(told.get("filename", "")) or "recording"
    upload = open_upload(owner_id, name, printable(told.get("filetype", "")), size)
    store.upload_path(upload.pk).touch(mode=0o600)
    return Answer(201, {"location": f"{PATH}/{upload.pk}", "upload-offset": "0", **_expiry(upload)})


def _find(request: Request) -> tuple[Store, Upload]:
    upload = uploads_of(_sender(request).user_id).filter(pk=str(request.upload_id)).first()
    if upload is None:
        raise RequestRefused(404, "there is no such upload of yours; it may have expired", code="not_found")
    return hubs_store(), upload


async def _head(store: Store, upload: Upload) -> Answer:
    # Who asks how much came has lost the connection that was bringing it.
    await _interrupt(upload.pk)
    size = await asyncio.to_thread(_size_of, store, upload)
    if upload.state == UploadState.OPEN and size == upload.size:
        # All of it came, and whoever was to write that down did not live to do it.
        upload = await _complete(store, upload)
    return Answer(200, {"upload-length": str(upload.size), "upload-offset": str(size), **_expiry(upload)})


async def _complete(store: Store, upload: Upload) -> Upload:
    def finish_file() -> str:
        with PartialFile(store.upload_path(upload.pk)) as file:
            return file.finish()

    sha256 = await asyncio.to_thread(finish_file)
    return await with_database(lambda: note_upload(upload.pk, upload.size, sha256))


async def _patch(store: Store, upload: Upload, request: Request, body: Body) -> Answer:
    if request.headers.get("content-type", "").strip().lower() != CONTENT_TYPE:
        raise RequestRefused(415, f"send `Content-Type: {CONTENT_TYPE}`", param="Content-Type")
    offset = plain_number(request.headers.get("upload-offset", ""))
    if offset is None:
        raise RequestRefused(400, "Upload-Offset must say at which byte this part begins", param="Upload-Offset")
    await _interrupt(upload.pk)
    if upload.state != UploadState.OPEN or offset != (here := _size_of(store, upload)):
        come = upload.size if upload.state != UploadState.OPEN else here
        raise RequestRefused(409, f"{come} bytes have come, so the next part begins there", param="Upload-Offset")
    if length_of(request.headers) > upload.size - offset:
        raise RequestRefused(413, f"only {upload.size - offset} bytes are missing", code="too_large")
    task = asyncio.create_task(_take(store, upload, body))
    _WRITERS[upload.pk] = task
    try:
        size = await task
    except asyncio.CancelledError:
        # Another connection of the same client has come for this upload.
        raise ClientLeft from None
    finally:
        if _WRITERS.get(upload.pk) is task:
            del _WRITERS[upload.pk]
    return Answer(204, {"upload-offset": str(size), **_expiry(await with_database(lambda: _fresh(upload)))})


async def _take(store: Store, upload: Upload, body: Body) -> int:
    """Bytes to the disk until the body ends, however it ends; the size of the file then."""
    with PartialFile(store.upload_path(upload.pk)) as file:
        try:
            await _read(file, upload, body)
        finally:
            sha256 = await asyncio.shield(asyncio.to_thread(file.finish)) if file.size == upload.size else ""
            await asyncio.shield(with_database(lambda: note_upload(upload.pk, file.size, sha256)))
    return file.size


async def _read(file: PartialFile, upload: Upload, body: Body) -> None:
    waiting = bytearray()
    try:
        while body.more:
            waiting += await body.next_block()
            if file.size + len(waiting) > upload.size:
                raise RequestRefused(
                    413, f"more came than the {upload.size} bytes that were announced", code="too_large"
                )
            if len(waiting) >= BLOCK_BYTES:
                block, waiting = waiting, bytearray()
                await _write(file, block)
    finally:
        # Also of a part that breaks off: what came needs not come again.
        await _write(file, waiting[: upload.size - file.size])


async def _write(file: PartialFile, block: bytearray) -> None:
    if block:
        # A thread goes on when its awaiter is cancelled, and the next connection must find the file at rest.
        writing = asyncio.ensure_future(asyncio.to_thread(file.write, block))
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            await writing
            raise


async def _interrupt(upload_id: UUID) -> None:
    running = _WRITERS.get(upload_id)
    if running is not None:
        running.cancel()
        await asyncio.wait([running])


def _size_of(store: Store, upload: Upload) -> int:
    path = store.upload_path(upload.pk)
    return path.stat().st_size if path.exists() else upload.offset


def _fresh(upload: Upload) -> Upload:
    upload.refresh_from_db()
    return upload


def _expiry(upload: Upload) -> Mapping[str, str]:
    return {"upload-expires": http_date(upload.expires.timestamp())}


def _limit_bytes() -> int:
    return int(environment().max_upload_gb * 1e9)
