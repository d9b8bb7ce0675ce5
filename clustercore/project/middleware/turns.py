"""Outermost: nobody's requests take all the threads and connections there are, however many come at once."""

from __future__ import annotations

import json
from functools import lru_cache

from django.conf import settings
from django.template.loader import render_to_string

from clustercore.access.domain.errors import Refused
from clustercore.access.domain.turns import Turns
from clustercore.access.http.refusals import RequestRefused, answer_to
from clustercore.access.http.visitors import visitor_of
from clustercore.access.services.idling import hold_nothing
from clustercore.access.services.turns import MOST_WAITING, Visitor, Waiter, receive_visitor, visitor_here
from clustercore.blobs.sockets.bodies import Application, Body, Message, Receive, Scope, Send, refuse
from clustercore.project.middleware.arrivals import with_headers
from clustercore.project.middleware.errors import is_for_programs, title_of

OWN_CONNECTIONS = 2
"""Of the pool: for what the process does by itself, such as watching the ledger for its followers."""
FREE_PATHS = ("/healthz",)
"""Whether the process lives asks nobody and must not wait."""


def with_visitors(application: Application) -> Application:
    """`application`, all of whose requests and WebSockets share the turns that the pool of connections allows."""
    together = max(1, settings.DATABASES["default"]["OPTIONS"]["pool"]["max_size"] - OWN_CONNECTIONS)
    turns: Turns[Waiter] = Turns(together, max(1, together // 2), MOST_WAITING)

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            receive_visitor(visitor_of(scope, turns))
        if scope["type"] != "http":
            await application(scope, receive, send)
            return
        try:
            await application(scope, receive, send)
        except Refused as refused:
            # What takes bytes in front of Django was refused a turn before it had read any.
            await refuse(answer_to(refused), Body(receive), with_headers(scope, send))

    return serve


def in_turn(application: Application) -> Application:
    """Django, which gets a request once its body is here and its turn has come, and gives the turn back with the
    answer's first byte: neither who sends slowly nor who reads slowly holds anything meanwhile."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        visitor = visitor_here()
        if visitor is None or scope["path"] in FREE_PATHS:
            await application(scope, receive, send)
            return

        is_here = False

        async def receiving() -> Message:
            nonlocal is_here
            message = await receive()
            if not is_here and message["type"] == "http.request" and not message.get("more_body", False):
                is_here = True
                await _hold_turn(visitor)
            return message

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                await hold_nothing()
            await send(message)

        try:
            await application(scope, receiving, sending)
        except _NoTurn as error:
            await _refuse(scope, error.refused, send)
        finally:
            visitor.end_turn()

    return serve


class _NoTurn(Exception):
    def __init__(self, refused: RequestRefused) -> None:
        super().__init__(refused.message)
        self.refused = refused


async def _hold_turn(visitor: Visitor) -> None:
    try:
        await visitor.hold_turn()
    except Refused as refused:
        raise _NoTurn(answer_to(refused)) from refused


async def _refuse(scope: Scope, refused: RequestRefused, send: Send) -> None:
    """The one shape for programs, a page for people; either without asking who they are."""
    if is_for_programs(scope["path"]):
        media_type, content = "application/json", json.dumps(refused.body).encode()
    else:
        media_type, content = "text/html; charset=utf-8", _page(refused.status, refused.message)
    headers = {
        "content-type": media_type,
        "content-length": str(len(content)),
        "cache-control": "no-store",
        "retry-after": str(refused.retry_after),
    }
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    sending = with_headers(scope, send)
    await sending({"type": "http.response.start", "status": refused.status, "headers": pairs})
    await sending({"type": "http.response.body", "body": content})


@lru_cache(maxsize=8)
def _page(status: int, message: str) -> bytes:
    context = {"title": title_of(status), "message": message, "status": status}
    return render_to_string("access/refused.html", context).encode()
