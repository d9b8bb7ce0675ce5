"""Taking bytes, as ASGI itself: blobs by signed URL, resumable uploads, and the files in forms.

Django writes a whole request body to the system's temporary directory before it calls a view. Here identity and length
are looked at before the first byte is read, and the bytes go straight to the disk of the store.
"""

from __future__ import annotations

from django.db import DatabaseError

from clustercore.blobs.sockets.bodies import Application, ClientLeft, Receive, Scope, Send, as_refusal, stopped
from clustercore.blobs.sockets.forms import serve_form, takes_form
from clustercore.blobs.sockets.plain import serve_plain
from clustercore.blobs.sockets.resumable import serve_upload, takes_upload
from clustercore.blobs.sockets.signed import serve_signed, takes_signed

__all__ = ["takes_bytes", "with_uploads"]


def takes_bytes(scope: Scope) -> bool:
    """Returns whether a request brings a file of a person, whose head decides whether it is read."""
    return takes_upload(scope) or takes_form(scope)


def with_uploads(application: Application) -> Application:
    """Returns `application`, with all that brings bytes taken in front of it. Raises Refused, RequestRefused."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await _serve(scope, receive, send)
        except ClientLeft:
            raise stopped() from None
        except (DatabaseError, TimeoutError) as error:
            raise as_refusal(error) from error

    async def _serve(scope: Scope, receive: Receive, send: Send) -> None:
        if takes_signed(scope):
            await serve_signed(scope, receive, send)
        elif takes_upload(scope):
            await serve_upload(scope, receive, send)
        elif takes_form(scope):
            await serve_form(application, scope, receive, send)
        else:
            await serve_plain(application, scope, receive, send)

    return serve
