"""The stages `detect` and `transcribe`: the best rung of this node that works, and what it heard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from clustercore.jobs.domain.unit_context import UnitContext
from clustercore.jobs.domain.verdict import Done, Retry, Verdict
from clustercore.jobs.models import Unit
from clustercore.jobs.services.serving import Served, call_in_turn, models_for
from clustercore.nodes.domain.inventory import TieredModel
from clustercore.nodes.domain.selection import Wanted, select_models
from clustercore.nodes.selectors import models_on
from transcription.domain.merge import HeardPiece, place
from transcription.domain.sampling import SAMPLE_RATE
from transcription.domain.speech_task import capability_for, task_of
from transcription.domain.stages import KIND
from transcription.domain.traits import languages_in
from transcription.models import Piece, Segment
from transcription.services.language import go_on_detecting

DEFAULT_LANGUAGE = "en"
"""Taken where no live node can tell languages apart and some node hears it."""


def transcribe(context: UnitContext) -> Verdict:
    """Handler: one piece to segments, by the best rung that works here."""
    selection = models_for(context, capability_for(context.parameters), KIND)
    if not selection.models:
        return Retry(selection.reason, not_here=True)
    request = {
        "path": str(context.fetch(context.payload["blob"])),
        "language": context.language or None,
        "prompt": context.parameters["prompt"],
        "words": True,
        "task": task_of(context.parameters),
    }
    served = call_in_turn(context, selection.models, request)
    return served if isinstance(served, Retry) else Done(_with_provenance(context, served))


def _with_provenance(context: UnitContext, served: Served) -> dict[str, Any]:
    seconds = (context.payload["end_sample"] - context.payload["start_sample"]) / SAMPLE_RATE
    served_by = {
        **served.provenance,
        "audio_seconds": round(seconds, 3),
        "real_time_factor": round(served.seconds / seconds, 4) if seconds else 0.0,
    }
    context.served_by.update(served_by)
    heard = served.answer
    return {"segments": heard["segments"], "language": heard.get("language"), "node": context.node_name, **served_by}


def record_segments(unit_id: int, result: Mapping[str, Any]) -> None:
    """In the transaction that completes a piece: its segments, on the recording's own time line.

    A piece is completed once: retrying a job queues only what is not done. So segments are never written over, and what
    people say about them stays with them.
    """
    piece = Piece.objects.get(unit_id=unit_id)
    placed = place(HeardPiece(piece.start_sample, piece.end_sample, result["segments"]))
    Segment.objects.bulk_create(
        Segment(
            recording_id=piece.recording_id,
            piece=piece,
            position=position,
            start=heard.start,
            end=heard.end,
            text=heard.text,
            words=[asdict(word) for word in heard.words],
            node_name=result["node"],
            engine=result["engine"],
            model=result["model"],
            rung=result["rung"],
            real_time_factor=result["real_time_factor"],
            speaker=heard.speaker,
        )
        for position, heard in enumerate(placed)
    )


def detect(context: UnitContext) -> Verdict:
    """Handler: the language of one piece; None where nobody was heard to speak in it."""
    here = models_on(context.node_id, "stt")
    selection = select_models(here, Wanted(needs=context.prefers, minimum_rung=context.minimum_rung))
    if not selection.models:
        return Done({"language": _assumed(here), "how": "no live node can tell languages apart", "assumed": True})
    request = {
        "path": str(context.fetch(context.payload["blob"])),
        "language": None,
        "prompt": "",
        "words": False,
        "detect_only": True,
    }
    served = call_in_turn(context, selection.models, request)
    return served if isinstance(served, Retry) else Done(_heard_language(served.answer, served.model.label))


def _assumed(models: Sequence[TieredModel]) -> str:
    served = {code for model in models if model.record.usable for code in languages_in(model.record.traits)}
    return DEFAULT_LANGUAGE if DEFAULT_LANGUAGE in served or "*" in served else min(served, default=DEFAULT_LANGUAGE)


def _heard_language(heard: Mapping[str, Any], label: str) -> dict[str, Any]:
    language = heard.get("language")
    if not language:
        return {"language": None, "how": f"{label} heard nobody speak"}
    probability = heard.get("language_probability")
    return {"language": language, "probability": probability, "how": f"heard by {label}"}


def record_language(unit_id: int, result: Mapping[str, Any]) -> None:  # noqa: ARG001
    """In the transaction that completes a detection: decided once, and the waiting pieces go."""
    go_on_detecting(Unit.objects.values_list("job_id", flat=True).get(pk=unit_id))
