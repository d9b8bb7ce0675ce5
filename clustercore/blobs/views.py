"""Handing out blobs: GET and HEAD by signed URL, whole or by range. (Uploads: `sockets.py`.)"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.views.decorators.http import require_safe

from clustercore.blobs.adapters.files import BLOCK_BYTES
from clustercore.blobs.domain.errors import BlobMissing, BlobUnavailable
from clustercore.blobs.domain.ranges import ByteRange, RangeNotSatisfiable, parse_range
from clustercore.blobs.domain.signing import refusal
from clustercore.blobs.selectors import hub_now
from clustercore.blobs.services import local_store, stored_paths


class Blocks(Protocol):
    """Bytes to be sent, `size` of them in all; a response closes them."""

    size: int

    def limit(self, part: ByteRange) -> None:
        """Only these bytes."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    def close(self) -> None: ...


class FileBlocks:
    """Some bytes of an open file, a block at a time, read off the event loop; `close` is called by the response."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self.size = self._file.seek(0, 2)
        self._start, self._left = 0, self.size

    def limit(self, part: ByteRange) -> None:
        """Only these bytes."""
        self._start, self._left = part.start, part.length

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self._file.seek(self._start)
        while self._left and (block := await asyncio.to_thread(self._file.read, min(BLOCK_BYTES, self._left))):
            self._left -= len(block)
            yield block

    def close(self) -> None:
        self._file.close()


@require_safe
def download(request: HttpRequest, sha256: str) -> HttpResponseBase:
    """200, 206, 304, 403 (`expired`, `bad signature`), 404, 416, or 503 while there is no ledger or no hub."""
    try:
        hub = hub_now()
    except (BlobUnavailable, DatabaseError):
        return _plain(503, "the ledger does not answer, or this cluster has no hub yet")
    refused = refusal(
        hub.hub.signing_key,
        request.method or "",
        sha256,
        expires=request.GET.get("expires", ""),
        given=request.GET.get("signature", ""),
        now=hub.now.timestamp(),
    )
    if refused is not None:
        return _plain(403, refused.value)
    store = local_store(hub)
    if store is None:
        return _plain(404, "this process does not have the hub's store")
    try:
        blocks = FileBlocks(stored_paths(store, [sha256])[0])
    except (BlobMissing, FileNotFoundError) as error:
        return _plain(404, str(error) if isinstance(error, BlobMissing) else "deleted a moment ago")
    return ranged_answer(request, blocks, f'"{sha256}"')


def ranged_answer(request: HttpRequest, blocks: Blocks, etag: str) -> HttpResponseBase:
    """200, 206, 304 or 416 for bytes that never change under `etag`; as a download that no browser takes for a page."""
    if request.headers.get("If-None-Match") == etag:
        blocks.close()
        return _with_headers(HttpResponse(status=304), etag)
    try:
        part = _part(request, blocks.size, etag)
    except RangeNotSatisfiable:
        blocks.close()
        response = _with_headers(_plain(416, "range not satisfiable"), etag)
        response["Content-Range"] = f"bytes */{blocks.size}"
        return response
    return _with_headers(_body(request, blocks, part), etag)


def _part(request: HttpRequest, size: int, etag: str) -> ByteRange | None:
    # Names are hashes, so the bytes behind one never change; If-Range can only name another blob's tag.
    if request.method != "GET" or request.headers.get("If-Range", etag) != etag:
        return None
    return parse_range(request.headers.get("Range"), size)


def _body(request: HttpRequest, blocks: Blocks, part: ByteRange | None) -> HttpResponseBase:
    length = blocks.size if part is None else part.length
    if part is not None:
        blocks.limit(part)
    response: HttpResponseBase
    if request.method == "HEAD":
        blocks.close()
        response = HttpResponse()
    else:
        response = StreamingHttpResponse(blocks, status=200 if part is None else 206)
    response["Content-Length"] = str(length)
    if part is not None:
        response["Content-Range"] = part.content_range(blocks.size)
    return response


def _with_headers(response: HttpResponseBase, etag: str) -> HttpResponseBase:
    # What a user uploaded is never shown as a page of ours, whatever it holds.
    response["Content-Type"] = "application/octet-stream"
    response["Content-Disposition"] = "attachment"
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    response["Cache-Control"] = "private, no-transform"
    response["Accept-Ranges"] = "bytes"
    response["ETag"] = etag
    return response


def _plain(status: int, text: str) -> HttpResponse:
    return HttpResponse(text + "\n", status=status, content_type="text/plain; charset=utf-8")
