"""The recording for the reader's player, and as it came."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_safe

from clustercore.access.domain.roles import Permission
from clustercore.access.http.identification import require
from clustercore.access.http.refusals import RequestRefused
from clustercore.blobs.domain.errors import BlobMissing
from clustercore.blobs.selectors import hub_now
from clustercore.blobs.services import local_store, stored_paths
from clustercore.blobs.views import FileBlocks, ranged_answer
from clustercore.config.adapters.plugins import load
from transcription.domain.naming import download_name
from transcription.domain.playing import playable_type
from transcription.models import Piece, Recording
from transcription.services.permissions import recording_to_read

JOINED = "transcription.adapters.joined_pieces"
"""Loaded when somebody plays what has to be decoded: a web process at rest holds no decoder."""

NEVER_SNIFFED = "application/octet-stream"


@require_safe
def audio(request: HttpRequest, job_id: int) -> HttpResponseBase:
    """The recording with ranges: as it came where browsers play it, else joined from its pieces as WAV.

    `?as=wave` joins the pieces in any case; `?as=file` is the file as it came, to be kept.
    """
    recording = recording_to_read(require(request, Permission.VIEW), job_id)
    wanted = request.GET.get("as", "")
    media_type = playable_type(recording.container, recording.codec)
    if wanted == "file":
        return _original(request, recording, NEVER_SNIFFED, as_attachment=True)
    if media_type and wanted != "wave":
        return _original(request, recording, media_type, as_attachment=False)
    return _joined(request, recording)


def _original(request: HttpRequest, recording: Recording, media_type: str, *, as_attachment: bool) -> HttpResponseBase:
    (path,) = _stored([recording.blob])
    try:
        blocks = FileBlocks(path)
    except FileNotFoundError:
        raise RequestRefused(404, "the recording was removed from the hub", code="not_found") from None
    response = ranged_answer(request, blocks, f'"{recording.blob}"')
    return _as(response, media_type, as_attachment, download_name(recording.name))


def _joined(request: HttpRequest, recording: Recording) -> HttpResponseBase:
    rows = list(Piece.objects.filter(recording=recording).order_by("ordinal"))
    paths = _stored([row.blob for row in rows])
    piece_file, joined = load(f"{JOINED}:PieceFile"), load(f"{JOINED}:JoinedPieces")
    pieces = [piece_file(path, row.start_sample, row.end_sample) for path, row in zip(paths, rows, strict=True)]
    if not pieces:
        raise RequestRefused(404, "there is no sound to play: nothing is cut yet", code="not_found")
    # While a recording is being cut the sound grows, and what a browser kept of the shorter one is no part of it.
    response = ranged_answer(request, joined(pieces), f'"{recording.blob}-{pieces[-1].end_sample}"')
    return _as(response, "audio/wav", False, download_name(recording.name, "wav"))


def _stored(sha256s: Sequence[str]) -> list[Path]:
    store = local_store(hub_now())
    if store is None:
        raise RequestRefused(503, "this process does not have the hub's store", code="no_store", retry_after=60)
    try:
        return stored_paths(store, sha256s)
    except BlobMissing as error:
        raise RequestRefused(404, f"there is no sound to play: {error}", code="not_found") from error


def _as(response: HttpResponseBase, media_type: str, as_attachment: bool, name: str) -> HttpResponseBase:
    if response.status_code != 416:
        response["Content-Type"] = media_type
    response["Content-Disposition"] = content_disposition_header(as_attachment, name) or "attachment"
    return response
