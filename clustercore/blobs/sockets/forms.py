"""Forms with a file: the file goes to the store's disk as it comes, the fields go on to Django as a small form.

The view finds the file by `blobs.http.received.received_with(scope)`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from urllib.parse import urlencode

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from clustercore.access.domain.errors import Invalid, TooLarge
from clustercore.access.domain.roles import Permission
from clustercore.access.services.async_waiting import in_thread
from clustercore.blobs.adapters.files import Incoming
from clustercore.blobs.adapters.received import ReceivedFile
from clustercore.blobs.adapters.store import Store
from clustercore.blobs.domain.errors import BrokenForm
from clustercore.blobs.domain.forms import MOST_FIELD_BYTES, MOST_PARTS, Part, part_of, permission_at
from clustercore.blobs.http.received import SCOPE_KEY
from clustercore.blobs.sockets.bodies import (
    Application,
    Body,
    Message,
    Receive,
    Scope,
    Send,
    headers_of,
    hubs_store,
    length_of,
    refuse_too_much,
    require_sender,
)
from clustercore.blobs.sockets.writing import BlockWriter, pour
from clustercore.config.environment import environment

_MOST_HEADER_BYTES = 8 << 10
_FORM = b"multipart/form-data"


def takes_form(scope: Scope) -> bool:
    """Whether a request posts a form with files to an address that takes them."""
    if scope["method"] != "POST" or permission_at(scope["path"]) is None:
        return False
    return headers_of(scope).get("content-type", "").strip().lower().startswith(_FORM.decode())


async def serve_form(application: Application, scope: Scope, receive: Receive, send: Send) -> None:
    """Takes the file and lets the application answer. Raises Refused, and what `as_refusal` knows."""
    store = await in_thread(lambda: _admit(scope))
    with store.receive() as incoming:
        form = Form(BlockWriter(incoming), headers_of(scope).get("content-type", ""))
        await _read(form, Body(receive))
        received = await asyncio.to_thread(_received, store, incoming, form)
        await application(*_smaller(scope, receive, form, received), send)


def _admit(scope: Scope) -> Store:
    """Returns the store to read into. Raises Refused, before a byte of the body was read."""
    wanted = permission_at(scope["path"]) or Permission.ADMINISTER
    require_sender(scope, wanted, f"this needs the permission {wanted.value!r}", changes=True)
    store = hubs_store()
    refuse_too_much(store, max(0, length_of(headers_of(scope)) - MOST_FIELD_BYTES))
    return store


class TooManyParts(TooLarge):
    """A form of so many parts is no form of ours."""

    code = "too_many_parts"


class SecondFile(Invalid):
    """A form may bring one file; `field` is where the second one was."""

    code = None


class Form:
    """A form as it is read: fields in memory, within limits, the one file to `writer`."""

    def __init__(self, writer: BlockWriter, content_type: str) -> None:
        boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
        if not boundary:
            raise BrokenForm("the Content-Type of the form names no boundary")
        callbacks = {
            "on_part_begin": self._begin,
            "on_header_begin": self._header_begins,
            "on_header_field": self._collect(lambda: self._header_name),
            "on_header_value": self._collect(lambda: self._header_value),
            "on_header_end": self._header_ends,
            "on_headers_finished": self._part_starts,
            "on_part_data": self._data,
            "on_part_end": self._part_ends,
            "on_end": self._end,
        }
        self._parser = MultipartParser(boundary, callbacks, max_header_size=_MOST_HEADER_BYTES)  # type: ignore[arg-type]
        self.writer = writer
        self.fields: list[tuple[str, str]] = []
        self.file: Part | None = None
        self.is_whole = False
        self._headers: dict[str, str] = {}
        self._header_name, self._header_value = bytearray(), bytearray()
        self._part: Part | None = None
        self._value = bytearray()
        self._parts = 0
        self._field_bytes = 0

    def feed(self, block: bytes) -> None:
        """Takes what came. Raises BrokenForm, Refused."""
        try:
            self._parser.write(block)
        except FormParserError as error:
            raise BrokenForm(f"the form cannot be read: {error}") from error

    def _collect(self, into: Callable[[], bytearray]) -> Callable[[bytes, int, int], None]:
        def take(data: bytes, start: int, end: int) -> None:
            into().extend(data[start:end])

        return take

    def _begin(self) -> None:
        self._headers = {}
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise TooManyParts(f"the form has more than {MOST_PARTS} parts")

    def _header_begins(self) -> None:
        self._header_name.clear()
        self._header_value.clear()

    def _header_ends(self) -> None:
        name = self._header_name.decode("latin-1").strip().lower()
        self._headers[name] = _header_text(bytes(self._header_value))

    def _part_starts(self) -> None:
        self._part = part_of(self._headers)
        self._value.clear()
        if self._part.file_name is not None:
            if self.file is not None:
                raise SecondFile("one file a request: send the next one in a request of its own", field=self._part.name)
            self.file = self._part

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._part is self.file:
            self.writer.take(data[start:end])
            return
        self._field_bytes += end - start
        if self._field_bytes > MOST_FIELD_BYTES:
            raise TooLarge(f"the fields of the form are larger than {MOST_FIELD_BYTES} bytes")
        self._value += data[start:end]

    def _part_ends(self) -> None:
        if self._part is not None and self._part is not self.file:
            self.fields.append((self._part.name, self._value.decode("utf-8", errors="replace")))

    def _end(self) -> None:
        self.is_whole = True


def _header_text(value: bytes) -> str:
    """UTF-8, as browsers write it; else Latin-1, as older programs do."""
    try:
        return value.decode().strip()
    except UnicodeDecodeError:
        return value.decode("latin-1").strip()


async def _read(form: Form, body: Body) -> None:
    limit = environment().max_upload_gb * 1e9

    def feed(block: bytes) -> None:
        form.feed(block)
        if body.size > limit + MOST_FIELD_BYTES:
            raise TooLarge(f"more than {environment().max_upload_gb:g} GB (CLUSTERCORE_MAX_UPLOAD_GB)")

    await pour(body, form.writer, feed)
    if not form.is_whole:
        raise BrokenForm("the form breaks off before its last boundary")


def _received(store: Store, incoming: Incoming, form: Form) -> ReceivedFile | None:
    part = form.file
    # A browser sends a nameless, empty file where nobody chose one.
    if part is None or not (part.file_name or incoming.size):
        return None
    return ReceivedFile(store, incoming.finish(), incoming.size, part.name, part.file_name or "", part.media_type)


def _smaller(scope: Scope, receive: Receive, form: Form, received: ReceivedFile | None) -> tuple[Scope, Receive]:
    """The request as Django gets it: the fields alone, and the file beside them."""
    content = urlencode(form.fields).encode()
    replaced = {
        b"content-type": b"application/x-www-form-urlencoded",
        b"content-length": str(len(content)).encode(),
    }
    dropped = {*replaced, b"transfer-encoding"}
    headers = [(name, value) for name, value in scope["headers"] if name.lower() not in dropped]
    messages: list[Message] = [{"type": "http.request", "body": content, "more_body": False}]

    async def receive_small() -> Message:
        return messages.pop() if messages else await receive()

    return {**scope, "headers": [*headers, *replaced.items()], SCOPE_KEY: received}, receive_small
