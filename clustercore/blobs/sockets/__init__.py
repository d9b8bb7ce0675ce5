"""Taking bytes, as ASGI itself: blobs by signed URL, resumable uploads, and the files in forms.

Django writes a whole request body to the system's temporary directory before it calls a view. Here identity and length
are looked at before the first byte is read, and the bytes go straight to the disk of the store.
"""

from __future__ import annotations

from clustercore.blobs.sockets.bodies import Application, Receive, Scope, Send
from clustercore.blobs.sockets.forms import serve_form, takes_form
from clustercore.blobs.sockets.plain import serve_plain
from clustercore.blobs.sockets.resumable import serve_upload, takes_upload
from clustercore.blobs.sockets.signed import serve_signed, takes_signed

__all__ = ["with_uploads"]


def with_uploads(application: Application) -> Application:
    """`application`, with everything that brings bytes taken in front of it."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await application(scope, receive, send)
        elif takes_signed(scope):
            await serve_signed(scope, receive, send)
        elif takes_upload(scope):
            await serve_upload(scope, receive, send)
        elif takes_form(scope):
            await serve_form(application, scope, receive, send)
        else:
            await serve_plain(application, scope, receive, send)

    return serve
