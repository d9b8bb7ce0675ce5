"""What is asked of requests that bring files, before their first byte is read: they are taken in front of Django."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import DatabaseError

from clustercore.access.http.identification import request_of
from clustercore.access.http.refusals import RequestRefused, answer_to
from clustercore.blobs.sockets.bodies import Application, Body, Receive, Scope, Send, refuse, with_database
from clustercore.blobs.sockets.forms import takes_form
from clustercore.blobs.sockets.resumable import takes_upload
from clustercore.project.middleware.headers import headers_of_answers
from clustercore.project.middleware.hosts import refused_place
from clustercore.project.middleware.limits import COUNTED, refused_haste


def guarded_uploads(application: Application) -> Application:
    """`application`, to which uploads come only under our names, from our pages or with a token, and within limits."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not (takes_upload(scope) or takes_form(scope)):
            await application(scope, receive, send)
            return
        sending = with_headers(scope, send)
        refused = await with_database(lambda: _refused(scope))
        if refused is not None:
            await refuse(refused, Body(receive), sending)
        else:
            await application({**scope, COUNTED: True}, receive, sending)

    return serve


def _refused(scope: Scope) -> RequestRefused | None:
    try:
        request = request_of(scope)
        place = refused_place(request)
        haste = None if place else refused_haste(request)
        return place or (answer_to(haste) if haste else None)
    except DatabaseError:
        return RequestRefused(503, "the ledger does not answer: try again", code="no_ledger", retry_after=5)


def with_headers(scope: Scope, send: Send) -> Send:
    """Answers carry what those of Django's middleware do, where they do not already."""
    wanted = {**headers_of_answers(scope["path"]), "x-request-id": uuid.uuid4().hex}

    async def sending(message: Any) -> None:
        if message["type"] == "http.response.start":
            present = {name.lower() for name, _ in message.get("headers", ())}
            more = [(name.lower().encode(), value.encode()) for name, value in wanted.items()]
            missing = [pair for pair in more if pair[0] not in present]
            message = {**message, "headers": [*message.get("headers", ()), *missing]}
        await send(message)

    return sending
