"""Who may open a WebSocket: browsers send cookies with it from any page, and ask no one (cross-site hijacking)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from clustercore.access.domain.hosts import host_name, is_own_name, is_own_origin
from clustercore.project.middleware.hosts import own_names

Scope = Mapping[str, Any]
Application = Callable[[Any, Any, Any], Awaitable[None]]


def guarded(sockets: Mapping[str, Application]) -> Application:
    """The WebSocket applications by path, each open only to our own pages and to programs that send a token."""

    async def connect(scope: Scope, receive: Any, send: Any) -> None:
        application = sockets.get(scope["path"])
        if application is None or not is_ours(_headers(scope)):
            # Closed before it is accepted: the server answers the handshake with 403.
            await receive()
            await send({"type": "websocket.close", "code": 4403})
            return
        await application(scope, receive, send)

    return connect


def is_ours(headers: Mapping[str, str]) -> bool:
    """Whether a handshake comes from a page of ours, under a name of ours, or from a program with a token."""
    host = headers.get("host", "")
    name = host_name(host)
    if name is None or not is_own_name(name, own_names()):
        return False
    origin = headers.get("origin")
    if origin is None:
        # Every browser names its page; what has a cookie and no page is not one.
        return "authorization" in headers
    return is_own_origin(origin, host)


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
