"""The shape of a transcription, and nothing else.

cut ──► a wave of pieces: chord( transcribe, … ) ──► jobs.advance ──► merge
 │      (as they are cut, the next wave beside this one; one whose sound is lost is held, and a further cut makes it)
 └────► detect, when nobody said the language, on one piece after another until one tells; the pieces wait for it
"""

from __future__ import annotations

from collections.abc import Sequence

from celery.canvas import Signature

from clustercore.jobs.domain.kinds import JobKind, Stage
from clustercore.jobs.workflows import lone_bell, ring, wave
from clustercore.nodes.domain.queues import queue_for
from transcription import tasks
from transcription.domain.stages import KIND, OUTLINE
from transcription.selectors import capability_of
from transcription.services.cutting import cut, record_cut, record_piece
from transcription.services.hearing import detect, record_language, record_segments, transcribe
from transcription.services.language import held_until_language
from transcription.services.merging import merge, record_transcript

WIDEST_WAVE = 100
"""A chord's cost grows faster than its width: thousands at once take many seconds to build."""


def canvases(job_id: int, stage_name: str, unit_ids: Sequence[int], capability: str) -> list[Signature]:
    """The canvases for units of one stage: pieces go in a chord, other stages one by one.

    `capability` is what the pieces ask of a node: to hear, or to translate.
    """
    stage = TRANSCRIPTION.stage(stage_name)
    if stage_name == "transcribe":
        queue = queue_for(capability)
        starts = range(0, len(unit_ids), WIDEST_WAVE)
        return [wave(stage, job_id, unit_ids[at : at + WIDEST_WAVE], queue) for at in starts]
    return [lone_bell(stage, unit_id) for unit_id in unit_ids]


def ring_stage(job_id: int, stage_name: str, unit_ids: Sequence[int]) -> None:
    """Rings for units just queued."""
    for canvas in canvases(job_id, stage_name, unit_ids, capability_of(job_id)):
        if ring(canvas):
            return


TRANSCRIPTION = JobKind(
    name=KIND,
    ring=ring_stage,
    main_stage=OUTLINE.main_stage,
    stages=(
        Stage(name="cut", task=tasks.cut.name, capability="media", handler=cut, opens="start", record=record_cut),
        Stage(
            name="detect",
            task=tasks.detect.name,
            capability="stt",
            handler=detect,
            opens="producer",
            made_by="cut",
            record=record_language,
            self_contained=True,
            ranked=True,
            light=True,
        ),
        Stage(
            name="transcribe",
            task=tasks.transcribe.name,
            capability="stt",
            handler=transcribe,
            opens="producer",
            made_by="cut",
            record=record_segments,
            held=held_until_language,
            queued=record_piece,
            tolerance=1.0,
            self_contained=True,
            ranked=True,
        ),
        Stage(
            name="merge",
            task=tasks.merge.name,
            capability="media",
            handler=merge,
            opens="barrier",
            record=record_transcript,
            light=True,
        ),
    ),
)
