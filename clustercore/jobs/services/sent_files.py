"""Files that somebody sent, before they are blobs: with a form, as an upload, or by a path of the hub's machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from clustercore.access.domain.identity import Identity
from clustercore.blobs.adapters.files import hash_of, hash_of_open
from clustercore.blobs.adapters.received import ReceivedFile
from clustercore.blobs.domain.uploads import UploadState
from clustercore.blobs.selectors import uploads_of
from clustercore.blobs.services import keep, store_file, store_open_file
from clustercore.blobs.services.receiving import keep_upload
from clustercore.jobs.domain.job_request import InvalidRequest
from clustercore.jobs.services.importing import open_import
from clustercore.terminal.domain.names import without_controls

LONGEST_NAME = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A file that somebody sent, not a blob yet."""

    name: str
    size: int
    sha256: Callable[[], str]
    store: Callable[[], str]
    """Makes it a blob; returns its SHA-256."""


def file_at(path: Path, name: str = "") -> Sent:
    """Returns a file that lies at a path, hashed once at most before it is stored. Raises InvalidRequest, OSError."""
    if not path.is_file():
        raise InvalidRequest("file", f"{printable(path.name)!r} is not a file")
    return Sent(
        name=name or path.name,
        size=path.stat().st_size,
        sha256=cache(lambda: hash_of(path)),
        store=lambda: store_file(path),
    )


def received_file(received: ReceivedFile) -> Sent:
    """Returns the file of a form."""
    return Sent(name=received.name, size=received.size, sha256=lambda: received.sha256, store=lambda: keep(received))


def uploaded_file(identity: Identity, upload_id: str) -> Sent:
    """Returns a resumable upload of that person's, which must be whole. Raises InvalidRequest."""
    upload = uploads_of(identity.user_id).filter(pk=upload_id).first()
    if upload is None:
        raise InvalidRequest("upload", "there is no such upload of yours; it may have expired")
    if upload.state == UploadState.OPEN:
        raise InvalidRequest("upload", f"{upload.offset} of {upload.size} bytes have come: send the rest first")
    return Sent(name=upload.name, size=upload.size, sha256=lambda: upload.sha256, store=lambda: keep_upload(upload.pk))


@contextmanager
def imported_file(text: str) -> Iterator[Sent]:
    """Opens a file of the hub's machine that lies in a folder its owner allowed. Raises InvalidRequest."""
    with closing(open_import(text)) as file:
        size = file.seek(0, 2)
        file.seek(0)
        name = text.replace("\\", "/").rpartition("/")[2]
        yield Sent(name=name, size=size, sha256=lambda: hash_of_open(file), store=lambda: store_open_file(file))


def printable(name: str, otherwise: str = "file") -> str:
    """Returns a file name as one line of text: control characters become spaces, at most 255 characters."""
    return without_controls(name)[:LONGEST_NAME] or otherwise
