"""The stages `detect` and `transcribe`: the best rung of this node that works, and what it heard."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from clustercore.config.environment import environment
from clustercore.jobs.domain.kinds import UnitContext
from clustercore.jobs.domain.verdict import Done, Retry, Verdict
from clustercore.jobs.models import Unit
from clustercore.nodes.domain.engine import EngineFailure, ModelRecord
from clustercore.nodes.domain.tiers import orders_with
from clustercore.nodes.selectors import models_on
from transcription.domain.merge import HeardPiece, place
from transcription.domain.sampling import SAMPLE_RATE
from transcription.domain.selection import Candidate, select_models
from transcription.domain.speech_task import capability_for, task_of
from transcription.models import Piece, Segment
from transcription.services.language import go_on_detecting

DEFAULT_LANGUAGE = "en"
"""Taken where no live node can tell languages apart and some node hears it."""


def transcribe(context: UnitContext) -> Verdict:
    """Handler: one piece to segments, by the best rung that works here."""
    capability = capability_for(context.parameters)
    selection = select_models(
        _records(context),
        orders_with(environment().tiers).get(capability, ()),
        language=context.language,
        minimum_rung=context.minimum_rung,
        capability=capability,
    )
    if not selection.candidates:
        return Retry(selection.reason, not_here=True)
    request = {
        "path": str(context.fetch(context.payload["blob"])),
        "language": context.language or None,
        "prompt": context.parameters["prompt"],
        "words": True,
        "task": task_of(context.parameters),
    }
    failures: list[str] = []
    for candidate in selection.candidates:
        started = time.monotonic()
        try:
            heard = context.call_engine(candidate.record.engine, candidate.record.model, request)
        except EngineFailure as failure:
            failures.append(f"{candidate.label}: {failure.message}")
            continue
        return Done(_provenance(context, candidate, heard, elapsed=time.monotonic() - started, failures=failures))
    return Retry("no rung of this node worked: " + "; ".join(failures), not_here=True)


def _records(context: UnitContext) -> list[ModelRecord]:
    """This node's models, narrowed to the engine and model that the user insists on, if any."""
    return [
        entry.record
        for entry in models_on(context.node_id, capability_for(context.parameters))
        if context.engine in ("", entry.record.engine) and context.model in ("", entry.record.model)
    ]


def _provenance(
    context: UnitContext,
    candidate: Candidate,
    heard: Mapping[str, Any],
    *,
    elapsed: float,
    failures: Sequence[str],
) -> dict[str, Any]:
    seconds = (context.payload["end_sample"] - context.payload["start_sample"]) / SAMPLE_RATE
    served_by = {
        "engine": candidate.record.engine,
        "model": candidate.record.model,
        "rung": candidate.rung,
        "audio_seconds": round(seconds, 3),
        "seconds": round(elapsed, 3),
        "real_time_factor": round(elapsed / seconds, 4) if seconds else 0.0,
        "device": heard.get("device", ""),
        "passed_over": list(failures),
    }
    context.served_by.update(served_by)
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
    entries = models_on(context.node_id, "stt")
    detecting = [entry for entry in entries if entry.record.detects_language and entry.rung >= context.minimum_rung]
    if not detecting:
        served = {language for entry in entries for language in entry.record.languages}
        only = (
            DEFAULT_LANGUAGE if DEFAULT_LANGUAGE in served or "*" in served else min(served, default=DEFAULT_LANGUAGE)
        )
        return Done({"language": only, "how": "no live node can tell languages apart", "assumed": True})
    request = {
        "path": str(context.fetch(context.payload["blob"])),
        "language": None,
        "prompt": "",
        "words": False,
        "detect_only": True,
    }
    failures: list[str] = []
    for entry in sorted(detecting, key=lambda entry: -entry.rung):
        engine, model = entry.record.engine, entry.record.model
        try:
            heard = context.call_engine(engine, model, request)
        except EngineFailure as failure:
            failures.append(f"{engine}:{model}: {failure.message}")
            continue
        return Done(_heard_language(heard, f"{engine}:{model}"))
    return Retry("no model of this node could tell the language: " + "; ".join(failures), not_here=True)


def _heard_language(heard: Mapping[str, Any], label: str) -> dict[str, Any]:
    language = heard.get("language")
    if not language:
        return {"language": None, "how": f"{label} heard nobody speak"}
    probability = heard.get("language_probability")
    return {"language": language, "probability": probability, "how": f"heard by {label}"}


def record_language(unit_id: int, result: Mapping[str, Any]) -> None:  # noqa: ARG001
    """In the transaction that completes a detection: decided once, and the waiting pieces go."""
    go_on_detecting(Unit.objects.values_list("job_id", flat=True).get(pk=unit_id))
