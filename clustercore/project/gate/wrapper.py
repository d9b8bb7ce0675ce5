"""The ASGI wrapper that every request and every WebSocket passes, once.

In this order: in which lane it waits, what is believed of where it comes from, under which name and from which page,
and, for programs, who asks and how many a minute. Only then Django sees it. What brings bytes is asked all of it before
its first byte is read; any other request is asked who it is once its body is here and its turn has come.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from functools import lru_cache

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, connections
from django.template.loader import render_to_string

from clustercore.access.domain.errors import Refused
from clustercore.access.domain.turns import Turns
from clustercore.access.http.identification import identify
from clustercore.access.http.origin import address_in
from clustercore.access.http.refusals import RequestRefused, refusal_of
from clustercore.access.http.visitors import visitor_of
from clustercore.access.services.async_waiting import in_thread, release_connection
from clustercore.access.services.turns import MOST_WAITING, Waiter, receive_visitor, visitor_here
from clustercore.blobs.sockets import takes_bytes, with_uploads
from clustercore.blobs.sockets.bodies import (
    Application,
    Body,
    Message,
    Receive,
    Scope,
    Send,
    answer,
    finish,
    refuse,
)
from clustercore.project.gate.headers import headers_of_answers, secured
from clustercore.project.gate.limits import refuse_haste
from clustercore.project.gate.places import heard, may_open_socket, refuse_foreign
from clustercore.project.middleware.errors import (
    LEDGER_AWAY,
    PROGRAM_PREFIXES,
    REQUEST_ID,
    broken,
    is_for_programs,
    note_ledger_trouble,
    title_of,
)

OWN_CONNECTIONS = 2
"""Of the pool: for what the process does by itself, such as watching the ledger for its followers."""
FREE_PATHS = ("/healthz",)
"""Whether the process lives asks nobody and must not wait."""
_JUDGED = "clustercore.judged"
"""The key in the scope of a request about whose sender all is decided."""
_PLACES = {"bad_host", "unknown_host", "foreign_origin"}
_TURNS = {"busy", "too_many_at_once"}


class Gate:
    """Django and the WebSocket applications (by path), behind what is asked of everybody."""

    def __init__(self, django: Application, sockets: Mapping[str, Application]) -> None:
        together = max(1, settings.DATABASES["default"]["OPTIONS"]["pool"]["max_size"] - OWN_CONNECTIONS)
        self._turns: Turns[Waiter] = Turns(together, max(1, together // 2), MOST_WAITING)
        self._django, self._sockets = django, sockets
        self._pages = with_uploads(self._serve_in_turn)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        receive_visitor(visitor_of(scope, self._turns))
        if scope["type"] == "websocket":
            await self._open_socket(scope, receive, send)
        else:
            await self._serve(heard(scope), receive, send)

    async def _open_socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        application = self._sockets.get(scope["path"])
        if application is None or not may_open_socket(scope):
            # Closed before it is accepted: the server answers the handshake with 403.
            await receive()
            await send({"type": "websocket.close", "code": 4403})
            return
        await application(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[REQUEST_ID] = uuid.uuid4().hex
        body, sending = Body(receive), _Answer(scope, send)
        try:
            refuse_foreign(scope)
            if takes_bytes(scope) and _is_to_be_judged(scope):
                await in_thread(lambda: _judge(scope))
            await self._pages(scope, body.receive, sending)
        except (Refused, RequestRefused) as refused:
            if sending.began:
                raise
            await _tell(scope, refused, body, sending)

    async def _serve_in_turn(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lets Django serve a request once its body is here and its turn has come.

        The turn ends with the answer's first byte: neither who sends slowly nor who reads slowly holds anything.
        """
        visitor = visitor_here()
        if visitor is None or scope["path"] in FREE_PATHS:
            await self._django(scope, receive, send)
            return
        refused: Refused | RequestRefused | None = None
        is_here = False

        async def receiving() -> Message:
            nonlocal is_here, refused
            try:
                message = await receive()
                if not is_here and message["type"] == "http.request" and not message.get("more_body", False):
                    is_here = True
                    await visitor.hold_turn()
                    if _is_to_be_judged(scope):
                        # In the thread, and on the connection, in which Django goes on.
                        await sync_to_async(_judge)(scope)
                return message
            except (Refused, RequestRefused) as error:
                # Django puts away what it has read when its client leaves, and not where an error passes.
                refused = error
                return {"type": "http.disconnect"}

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                await release_connection()
            await send(message)

        try:
            await self._django(scope, receiving, sending)
        finally:
            visitor.end_turn()
        if refused is not None:
            raise refused


class _Answer:
    """Sends an answer with what every one says: what browsers are to refuse, and the request's number."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope, self._send = scope, send
        self.began = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.began = True
            message = {**message, "headers": self._with_ours(list(message.get("headers", ())))}
        await self._send(message)

    def _with_ours(self, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        wanted = {**headers_of_answers(self._scope["path"]), "x-request-id": self._scope[REQUEST_ID]}
        present = {name.lower() for name, _ in headers}
        ours = [(name.lower().encode(), value.encode()) for name, value in wanted.items()]
        told = [*headers, *(pair for pair in ours if pair[0] not in present)]
        return secured(told) if self._scope.get("scheme") == "https" else told


def _is_to_be_judged(scope: Scope) -> bool:
    return _JUDGED not in scope and scope["path"].startswith(PROGRAM_PREFIXES)


def _judge(scope: Scope) -> None:
    """Finds out who asks, for whoever looks next, and counts the request. Raises RateLimited, RequestRefused (503)."""
    scope[_JUDGED] = True
    try:
        refuse_haste(identify(scope), address_in(scope))
    except (OperationalError, InterfaceError) as error:
        connections.close_all()
        note_ledger_trouble(scope[REQUEST_ID], error)
        raise RequestRefused(503, LEDGER_AWAY, code="no_ledger", retry_after=5) from error
    except DatabaseError as error:
        connections.close_all()
        raise broken(scope, error) from error
    except Refused:
        # Django, which would give it back, is not reached.
        connections.close_all()
        raise


async def _tell(scope: Scope, error: Refused | RequestRefused, body: Body, send: Send) -> None:
    """The one shape for programs and for what brings bytes, words or a page for people; without asking who they are."""
    refused = refusal_of(error)
    assert refused is not None
    if is_for_programs(scope["path"]) or refused.code not in _PLACES | _TURNS:
        await refuse(refused, body, send)
    elif refused.code in _PLACES:
        # Not as a page, which would be that of whoever is being impersonated.
        await answer(send, refused.status, {}, refused.message + "\n")
        await finish(body, send)
    else:
        headers = {"content-type": "text/html; charset=utf-8", "retry-after": str(refused.retry_after)}
        await answer(send, refused.status, headers, _page(refused.status, refused.message))
        await finish(body, send)


@lru_cache(maxsize=8)
def _page(status: int, message: str) -> str:
    context = {"title": title_of(status), "message": message, "status": status}
    return render_to_string("access/refused.html", context)
