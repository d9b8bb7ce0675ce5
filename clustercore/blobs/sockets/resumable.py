"""Resumable uploads: the tus protocol 1.0 (core, creation, termination, expiration) at `/api/v1/uploads`.

What came before a connection broke stays: `HEAD` tells how much, `PATCH` goes on from there. Only its owner sees an
upload.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from uuid import UUID

from django.db import DatabaseError
from django.utils.http import http_date

from clustercore.access.domain.errors import NotFound, TooLarge
from clustercore.access.domain.identity import Identity
from clustercore.access.domain.roles import Permission
from clustercore.access.http.refusals import RequestRefused
from clustercore.access.services.async_waiting import in_thread
from clustercore.blobs.adapters.partial import PartialFile
from clustercore.blobs.adapters.store import Store
from clustercore.blobs.domain.uploads import (
    CONTENT_TYPE,
    EXTENSIONS,
    VERSION,
    metadata_of,
    plain_number,
    printable,
)
from clustercore.blobs.models import Upload
from clustercore.blobs.selectors import uploads_of
from clustercore.blobs.services.receiving import end_upload, note_upload, open_partial, open_upload
from clustercore.blobs.sockets.bodies import (
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
    require_sender,
    stopped,
)
from clustercore.blobs.sockets.writers import Writers
from clustercore.blobs.sockets.writing import BlockWriter, at_rest
from clustercore.config.environment import environment

PATH = "/api/v1/uploads"
_ONE = re.compile(PATH + r"/([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})/?")
_SPOKEN = {"tus-resumable": VERSION}
_WRITERS = Writers()
_NOTE_SECONDS = 15.0
"""How often what has come is flushed and written down while more comes."""


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
        await refuse(stopped(), body, send)
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
        return await in_thread(lambda: _create(request))
    store, upload_id = await in_thread(lambda: _find(request))
    match request.method:
        case "HEAD":
            return await _head(store, upload_id)
        case "PATCH":
            return await _patch(store, upload_id, request, body)
        case "DELETE":
            return await _delete(store, upload_id)
    raise RequestRefused(405, f"{request.method} is not for an upload: HEAD, PATCH and DELETE are")


def _sender(request: Request) -> Identity:
    changes = request.method != "HEAD"
    otherwise = f"uploading needs the permission {Permission.SUBMIT.value!r}"
    return require_sender(request.scope, Permission.SUBMIT, otherwise, changes=changes)


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
    refuse_too_much(store, size)
    name = printable(told.get("filename", "")) or "recording"
    upload = open_upload(store, owner_id, name, printable(told.get("filetype", "")), size)
    with PartialFile(store.upload_path(upload.pk)) as file:
        upload = note_upload(upload, file)
    return Answer(201, {"location": f"{PATH}/{upload.pk}", "upload-offset": "0", **_expiry(upload)})


def _find(request: Request) -> tuple[Store, UUID]:
    upload = uploads_of(_sender(request).user_id).filter(pk=str(request.upload_id)).first()
    if upload is None:
        raise NotFound("there is no such upload of yours; it may have expired")
    return hubs_store(), upload.pk


async def _head(store: Store, upload_id: UUID) -> Answer:
    # Who asks how much came has lost the connection that was bringing it.
    async with _WRITERS.turn(upload_id):
        upload, size = await in_thread(lambda: _how_far(store, upload_id))
    return Answer(200, {"upload-length": str(upload.size), "upload-offset": str(size), **_expiry(upload)})


def _how_far(store: Store, upload_id: UUID) -> tuple[Upload, int]:
    upload, file = open_partial(store, upload_id)
    if file is None:
        return upload, upload.size
    with file:
        if file.size == upload.size:
            # All of it came, and whoever was to write that down did not live to do it.
            upload = note_upload(upload, file)
        return upload, file.size


async def _delete(store: Store, upload_id: UUID) -> Answer:
    async with _WRITERS.turn(upload_id):
        await in_thread(lambda: end_upload(store, upload_id))
    return Answer(204, {})


async def _patch(store: Store, upload_id: UUID, request: Request, body: Body) -> Answer:
    if request.headers.get("content-type", "").strip().lower() != CONTENT_TYPE:
        raise RequestRefused(415, f"send `Content-Type: {CONTENT_TYPE}`", param="Content-Type")
    offset = plain_number(request.headers.get("upload-offset", ""))
    if offset is None:
        raise RequestRefused(400, "Upload-Offset must say at which byte this part begins", param="Upload-Offset")
    async with _WRITERS.turn(upload_id) as turn:
        upload, file = await in_thread(lambda: open_partial(store, upload_id))
        with file or nullcontext():
            here = upload.size if file is None else file.size
            if file is None or offset != here:
                raise RequestRefused(
                    409, f"{here} bytes have come, so the next part begins there", param="Upload-Offset"
                )
            if length_of(request.headers) > upload.size - offset:
                raise TooLarge(f"only {upload.size - offset} bytes are missing")
            upload = await turn.run(_take(file, upload, body))
            return Answer(204, {"upload-offset": str(file.size), **_expiry(upload)})


async def _take(file: PartialFile, upload: Upload, body: Body) -> Upload:
    """Bytes to the disk until the body ends, however it ends; what was written down of it then."""
    try:
        await _read(file, upload, body)
    finally:
        upload = await at_rest(in_thread(lambda: note_upload(upload, file)))
    return upload


async def _read(file: PartialFile, upload: Upload, body: Body) -> None:
    otherwise = TooLarge(f"more came than the {upload.size} bytes that were announced")
    writer = BlockWriter(file, (upload.size, otherwise))
    noted = time.monotonic()
    try:
        while body.more:
            writer.take(await body.next_block())
            is_due = time.monotonic() - noted > _NOTE_SECONDS
            await writer.write(all_of_it=is_due)
            if is_due and file.size < upload.size:
                await _note(upload, file)
                noted = time.monotonic()
    finally:
        # Also of a part that breaks off: what came needs not come again.
        await writer.write(all_of_it=True)


async def _note(upload: Upload, file: PartialFile) -> None:
    # A ledger that is away is no reason to send anything again: what came is noted when it is back.
    with suppress(DatabaseError):
        await at_rest(in_thread(lambda: note_upload(upload, file)))


def _expiry(upload: Upload) -> Mapping[str, str]:
    return {"upload-expires": http_date(upload.expires.timestamp())}


def _limit_bytes() -> int:
    return int(environment().max_upload_gb * 1e9)
