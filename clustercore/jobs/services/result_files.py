"""Files that go with a result: looked at in the workspace, stored as blobs, referred to by the unit that made them."""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from clustercore.blobs.adapters.files import hash_of
from clustercore.blobs.domain.errors import BlobCorrupt, BlobError, BlobGone, BlobMissing, BlobUnavailable, StoreFull
from clustercore.blobs.services import store_file
from clustercore.embedded.domain.shortage import shortage_in
from clustercore.jobs.domain.result_files import BadResultFile, Files, ResultFile, check_name, files_to_json
from clustercore.jobs.domain.verdict import Done, Retry, Verdict
from clustercore.jobs.models import Unit
from clustercore.jobs.services.references import refer

OF_ANY_KIND = "application/octet-stream"


class StoreAway(ConnectionError):
    """The hub takes no files now; what its database's absence means, this means too."""


@dataclass(frozen=True, slots=True)
class Attachments:
    """The files of one result, by name, and where their bytes lie on this machine, by hash."""

    files: Files = field(default_factory=dict)
    paths: Mapping[str, Path] = field(default_factory=dict)


NO_FILES = Attachments()


def attach(verdict: Verdict, workspace: Path) -> Attachments:
    """What goes with a handler's verdict. Raises BadResultFile, OSError."""
    if not isinstance(verdict, Done) or not verdict.files:
        return NO_FILES
    found = {name: _inside(workspace, name, path) for name, path in verdict.files.items()}
    files = {name: _described(name, path) for name, path in found.items()}
    return Attachments(files, {files[name].sha256: path for name, path in found.items()})


def _inside(workspace: Path, name: str, path: Path) -> Path:
    check_name(name)
    # What it is a link to is what would be stored.
    real = path.resolve()
    if not real.is_relative_to(workspace.resolve()):
        raise BadResultFile(
            f"the file {name!r} of the result lies outside its unit's workspace: write it there ({path})"
        )
    if not real.is_file():
        raise BadResultFile(f"the file {name!r} of the result is not there, or no file: {path}")
    return real


def _described(name: str, path: Path) -> ResultFile:
    media_type = mimetypes.guess_type(name)[0] or OF_ANY_KIND
    return ResultFile(sha256=hash_of(path), size=path.stat().st_size, media_type=media_type)


def stored(verdict: Verdict, attachments: Attachments) -> tuple[Verdict, Files]:
    """Stores the bytes of all files at the hub; returns what to settle with.

    Where they can never be stored that is a failed try, so that it ends and says why. Raises StoreAway.
    """
    try:
        for file in {file.sha256: file for file in attachments.files.values()}.values():
            _store(file, attachments.paths[file.sha256])
    except ConnectionError:
        raise
    except (BlobError, OSError) as trouble:
        return Retry(f"the files of its result cannot be stored: {trouble}"), {}
    return verdict, attachments.files


def _store(file: ResultFile, path: Path) -> None:
    try:
        sha256 = store_file(path, file.media_type)
    except (BlobUnavailable, BlobMissing, StoreFull) as absence:
        raise StoreAway(f"its files are not taken: {absence}") from absence
    except (OSError, MemoryError) as trouble:
        if short := shortage_in(trouble):
            raise StoreAway(f"its files are not taken: {short}") from trouble
        raise
    if sha256 != file.sha256:
        raise BlobCorrupt(f"{path} hashed to {file.sha256} when it was made, and hashes to {sha256} now")


def keep_files(job_id: int, unit_id: int, files: Files) -> None:
    """Writes down, in the transaction that completes a unit, which files it made: they stay as long as the job does.

    Raises StoreAway if one was deleted since it was stored: whoever stores it again may complete the unit.
    """
    try:
        refer(job_id, {unit_id: [file.sha256 for file in files.values()]})
    except BlobGone as gone:
        raise StoreAway(str(gone)) from gone
    Unit.objects.filter(pk=unit_id).update(files=files_to_json(files))
