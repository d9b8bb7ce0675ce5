"""The stage `cut`: one streaming pass; each piece is stored, recorded and queued as soon as it is cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clustercore.blobs.selectors import existing
from clustercore.blobs.services import store_file
from clustercore.config.environment import environment
from clustercore.jobs.domain.kinds import QueuedUnit
from clustercore.jobs.domain.new_unit import NewUnit
from clustercore.jobs.domain.notes import NOTE
from clustercore.jobs.domain.unit_context import UnitContext
from clustercore.jobs.domain.verdict import Done, Verdict
from clustercore.jobs.models import Unit
from clustercore.jobs.selectors.references import awaited
from clustercore.jobs.services.events import record_event
from clustercore.jobs.services.references import refer
from clustercore.nodes.selectors import live_slots
from transcription.domain.sampling import SAMPLE_RATE
from transcription.domain.speech_task import capability_for
from transcription.models import Piece, Recording
from transcription.services.language import go_on_detecting, has_sound

WINDOW_SECONDS = 5.0
WAVE = 8
"""Later pieces that are queued in one call; each gets a message of its own."""


@dataclass
class Waves:
    """Pieces cut and not yet queued: one for each slot goes out alone, so that work starts at once.

    The last ones are queued by the transaction that completes the cut.
    """

    context: UnitContext
    slots: int
    waiting: list[NewUnit] = field(default_factory=list)
    sent: int = 0

    def add(self, piece: Mapping[str, Any]) -> None:
        """Stores the piece and queues the wave when it is full."""
        self.waiting.append(self._unit(piece, stored(piece)))
        if not piece.get("is_last") and (self.sent < self.slots or len(self.waiting) >= WAVE):
            self._flush()

    @property
    def pieces(self) -> int:
        """How many there are in all."""
        return self.sent + len(self.waiting)

    def _flush(self) -> None:
        self.sent += len(self.waiting)
        self.context.queue(self.waiting)
        self.waiting = []

    def _unit(self, piece: Mapping[str, Any], blob: str) -> NewUnit:
        payload = {
            "blob": blob,
            "start_sample": piece["start_sample"],
            "end_sample": piece["end_sample"],
            "sound_seconds": piece.get("sound_seconds", 1.0),
        }
        seconds = (piece["end_sample"] - piece["start_sample"]) / SAMPLE_RATE
        capability = capability_for(self.context.parameters)
        return NewUnit(
            stage="transcribe",
            ordinal=piece["ordinal"],
            payload=payload,
            weight=seconds,
            capability=capability,
            blobs=[blob],
        )


def stored(piece: Mapping[str, Any]) -> str:
    """The hash under which a piece's file is stored now; the file is gone. Raises BlobError, OSError."""
    path = Path(piece["path"])
    sha256 = store_file(path, "audio/flac")
    path.unlink()
    return sha256


def cut(context: UnitContext) -> Verdict:
    """Handler: cuts the recording and queues its pieces, and cuts again those whose sound is no longer stored.

    The result describes the file, and says under which hashes the pieces cut again are stored.
    """
    recording = Recording.objects.get(job_id=context.job_id)
    known = list(recording.pieces.order_by("ordinal").values_list("start_sample", "end_sample", "blob"))
    again = lost_pieces(context.job_id, [blob for _, _, blob in known])
    remade: list[dict[str, Any]] = []
    slots = max(1, live_slots(capability_for(context.parameters)))
    waves = Waves(context, slots, sent=len(known))
    context.report(0.0, "fetching the recording")

    def on_event(event: Mapping[str, Any]) -> None:
        if "piece" not in event:
            return
        piece = event["piece"]
        if piece["ordinal"] in again:
            remade.append({"ordinal": piece["ordinal"], "blob": stored(piece)})
        else:
            waves.add(piece)

    request = {
        "path": str(context.fetch(recording.blob)),
        "directory": str(context.workspace),
        "piece_seconds": context.parameters.get("piece_seconds"),
        "longest_piece_seconds": environment().piece_seconds,
        "slots": slots,
        "window_seconds": WINDOW_SECONDS,
        "maximum_seconds": environment().max_media_hours * 3600,
        "known": [[start, end] for start, end, _ in known],
        "again": again,
        "track": context.parameters.get("track"),
    }
    described = context.call_engine("media", "pyav", request, on_event)
    found = {**described, "remade": remade, "pieces": waves.pieces, "pieces_following": len(waves.waiting)}
    return Done(found, then=tuple(waves.waiting))


def lost_pieces(job_id: int, blobs: Sequence[str]) -> list[int]:
    """Which of the pieces, by their hashes in order, must be cut again: the ledger or who was to hear them says so."""
    if not blobs:
        return []
    missing = {*blobs} - existing(blobs) | awaited(job_id)
    return [ordinal for ordinal, blob in enumerate(blobs) if blob in missing]


def record_pieces(job_id: int, queued: Sequence[QueuedUnit]) -> None:
    """In the transaction that queues the pieces' units: the cuts are in the ledger exactly when their units are."""
    recording = Recording.objects.get(job_id=job_id)
    known = recording.pieces.count()
    pieces = [_piece(recording, ordinal, unit) for ordinal, unit in enumerate(queued, known)]
    Piece.objects.bulk_create(pieces)
    with_sound = [piece for piece, unit in zip(pieces, queued, strict=True) if has_sound(unit.payload)]
    go_on_detecting(job_id, new=with_sound)


def _piece(recording: Recording, ordinal: int, unit: QueuedUnit) -> Piece:
    return Piece(
        recording=recording,
        unit_id=unit.unit_id,
        ordinal=ordinal,
        start_sample=unit.payload["start_sample"],
        end_sample=unit.payload["end_sample"],
        blob=unit.payload["blob"],
    )


def record_cut(unit_id: int, result: Mapping[str, Any]) -> None:
    """In the transaction that completes the cut: what the file turned out to be."""
    recording = Recording.objects.get(job__units=unit_id)
    recording.container = str(result.get("container", ""))[:60]
    recording.codec = str(result.get("codec", ""))[:60]
    recording.sample_rate = result.get("sample_rate")
    recording.channels = result.get("channels")
    recording.seconds = result["samples"] / SAMPLE_RATE
    recording.save()
    remade = result.get("remade", [])
    for piece in remade:
        _point(recording.pieces.get(ordinal=piece["ordinal"]), recording.job_id, piece["blob"])
    if not result.get("pieces_following"):
        # Otherwise these are asked when they are queued, or tell that there is none left to ask.
        go_on_detecting(recording.job_id)
    # A node of the version before has queued all of them, and does not say how many.
    pieces = result["pieces"] if "pieces" in result else recording.pieces.count()
    if remade:
        text = f"cut again, because their sound was no longer stored: {len(remade)} of {pieces}"
        record_event(recording.job_id, "cut", text, unit_id=unit_id)
        return
    noun = "piece" if pieces == 1 else "pieces"
    record_event(
        recording.job_id, "cut", f"cut into {pieces} {noun} ({recording.seconds:.1f} s of sound)", unit_id=unit_id
    )
    for note in result.get("notes", []):
        record_event(recording.job_id, NOTE, str(note), unit_id=unit_id)


def _point(piece: Piece, job_id: int, blob: str) -> None:
    """The units that need a piece need it under its new hash: another version of the encoder writes other bytes."""
    if piece.blob == blob:
        return
    for unit in Unit.objects.filter(job_id=job_id, payload__blob=piece.blob):
        unit.payload = {**unit.payload, "blob": blob}
        unit.save(update_fields=["payload"])
        refer(job_id, {unit.pk: [blob]})
    piece.blob = blob
    piece.save(update_fields=["blob"])
