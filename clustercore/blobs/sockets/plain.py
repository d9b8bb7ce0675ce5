"""Every other request: what its body may weigh, before Django writes it to the system's temporary directory."""

from __future__ import annotations

from clustercore.access.domain.errors import TooLarge
from clustercore.access.domain.roles import Permission
from clustercore.access.http.identification import sender_of
from clustercore.access.services.async_waiting import in_thread
from clustercore.blobs.sockets.bodies import (
    Application,
    Message,
    Receive,
    Scope,
    Send,
    headers_of,
    hubs_store,
    length_of,
    refuse_too_much,
)

SMALL_BYTES = 10_000_000
"""Whatever is no upload fits in this. The form of a page may bring more, from who may submit recordings."""


async def serve_plain(application: Application, scope: Scope, receive: Receive, send: Send) -> None:
    """Lets the application answer, unless the body is too large for who sends it. Raises TooLarge, StoreFull."""
    length = length_of(headers_of(scope))
    if length > SMALL_BYTES:
        await in_thread(lambda: _admit(scope, length))
    await application(scope, _counted(receive, max(length, SMALL_BYTES)), send)


def _admit(scope: Scope, length: int) -> None:
    if not sender_of(scope).may(Permission.SUBMIT):
        raise TooLarge(f"more than {SMALL_BYTES // 1_000_000} MB")
    refuse_too_much(hubs_store(), length)


def _counted(receive: Receive, most: int) -> Receive:
    """A body whose length nobody told is counted as it comes; Django reads all of it before it does anything."""
    come = 0

    async def counting() -> Message:
        nonlocal come
        message = await receive()
        come += len(message.get("body", b""))
        if come > most:
            raise TooLarge(f"more than {most // 1_000_000} MB without a Content-Length")
        return message

    return counting
