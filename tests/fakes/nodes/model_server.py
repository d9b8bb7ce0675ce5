"""A real HTTP server on this machine that serves files as model hosts do: ranges, entity tags, and faults on demand."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class ServedFiles:
    """What the server has, how it behaves, and what it was asked."""

    files: dict[str, bytes] = field(default_factory=dict)
    """Path, with its leading slash, to content."""
    break_off_after: int | None = None
    """Closes each connection after so many bytes of the body, though more were promised."""
    tags: dict[str, str] = field(default_factory=dict)
    """Path to another entity tag than the file's SHA-256."""
    headers: dict[str, str] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    """Path to the address that it has moved to."""
    refuse_with: int | None = None
    """The status of every answer, instead of a file."""
    statuses: dict[str, int] = field(default_factory=dict)
    """Path to the status that it is refused with."""
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and Range header of each request, in order."""
    headers_seen: list[dict[str, str]] = field(default_factory=list)
    """All headers of each request, their names in small letters."""
    url: str = ""


@contextmanager
def model_server(served: ServedFiles) -> Iterator[ServedFiles]:
    """Serves until the block ends; `served.url` is its base address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _answer(self, served)

        def do_HEAD(self) -> None:
            _answer(self, served)

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing on the terminal of the tests."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    served.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _answer(handler: BaseHTTPRequestHandler, served: ServedFiles) -> None:
    wanted = handler.headers.get("Range")
    served.requests.append((handler.path, wanted))
    served.headers_seen.append({name.lower(): value for name, value in handler.headers.items()})
    refused_with = served.statuses.get(handler.path, served.refuse_with)
    if refused_with is not None:
        handler.send_error(refused_with)
        return
    if handler.path in served.redirects:
        handler.send_response(302)
        handler.send_header("Location", served.redirects[handler.path])
        for name, value in _hub_headers(served, handler.path).items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return
    content = served.files.get(handler.path)
    if content is None:
        handler.send_error(404)
        return
    tag = '"' + served.tags.get(handler.path, hashlib.sha256(content).hexdigest()) + '"'
    continued = wanted is not None and handler.headers.get("If-Range", tag) == tag
    first = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and continued else 0
    if first >= len(content):
        handler.send_response(416)
        handler.send_header("Content-Range", f"bytes */{len(content)}")
        handler.send_header("ETag", tag)
        handler.end_headers()
        return
    _send(handler, served, content, first, tag)


def _hub_headers(served: ServedFiles, path: str) -> dict[str, str]:
    """What a hub of models says of a file that it has elsewhere."""
    content = served.files.get(path)
    if content is None or "X-Repo-Commit" not in served.headers:
        return {}
    digest = hashlib.sha256(content).hexdigest()
    return {**served.headers, "X-Linked-ETag": f'"{digest}"', "X-Linked-Size": str(len(content))}


def _send(handler: BaseHTTPRequestHandler, served: ServedFiles, content: bytes, first: int, tag: str) -> None:
    handler.send_response(206 if first else 200)
    handler.send_header("ETag", tag)
    handler.send_header("Content-Length", str(len(content) - first))
    for name, value in served.headers.items():
        handler.send_header(name, value)
    handler.end_headers()
    if handler.command == "HEAD":
        return
    last = None if served.break_off_after is None else first + served.break_off_after
    handler.wfile.write(content[first:last])
