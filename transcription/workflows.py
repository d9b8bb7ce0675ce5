"""The shape of a transcription, and nothing else.

cut ──► transcribe, transcribe, …     messages for free slots, as pieces are cut; each goes on with the next (one whose
 │                                    sound is lost is held, and a further cut makes it)
 ├────► detect                        when nobody said the language, on one piece after another until one tells;
 │                                    the pieces wait for it
 └────► chord( transcribe_all, one a place ) ──► merge
                                      once the last piece is cut: the places work off what is left, and the last of
                                      them brings the merge, which waits for all pieces
"""

from __future__ import annotations

from collections.abc import Sequence

from celery.canvas import Signature, chord

from clustercore.jobs.domain.kinds import JobKind, Stage
from clustercore.jobs.workflows import bell, canvas_of_join, lone_bell, ring_in_turn, send_join, worth_a_message
from clustercore.nodes.domain.queues import queue_for
from clustercore.nodes.selectors import live_slots
from transcription import tasks
from transcription.domain.stages import KIND, NOUN, OUTLINE
from transcription.domain.traits import DETECTS_LANGUAGE
from transcription.selectors import capability_of, open_pieces
from transcription.services.cutting import cut, record_cut, record_pieces
from transcription.services.language import held_until_language
from transcription.services.merging import merge, record_transcript
from transcription.services.submit import keep_recording
from transcription.services.transcribing import detect, record_language, record_segments, transcribe

MOST_PLACES = 100
"""A chord's cost grows faster than its width: thousands at once take many seconds to build."""


def messages(stage_name: str, unit_ids: Sequence[int], capability: str) -> list[Signature]:
    """The messages for units of one stage, for nodes that have the capability."""
    return [lone_bell(TRANSCRIPTION.stage(stage_name), unit_id, queue_for(capability)) for unit_id in unit_ids]


def ring_stage(job_id: int, stage_name: str, unit_ids: Sequence[int]) -> None:
    """Rings for units just queued; what the pieces ask of a node is the job's matter: to hear, or to translate."""
    stage = TRANSCRIPTION.stage(stage_name)
    capability = capability_of(job_id) if stage_name == OUTLINE.main_stage else stage.capability
    ring_in_turn(messages(stage_name, worth_a_message(unit_ids, capability), capability))


def canvas(job_id: int, merge_id: int, capability: str, places: int) -> chord:
    """The canvas of the pieces that are left, with so many places, and the merge."""
    queue = queue_for(capability)
    header = tasks.transcribe_all.si(job_id, queue).set(queue=queue)
    return canvas_of_join(header, max(1, min(places, MOST_PLACES)), bell(TRANSCRIPTION.stage("merge"), merge_id))


def gather(job_id: int, unit_id: int) -> None:
    """Sends the canvas that ends in the merge, once all pieces are cut: no wider than there are pieces left."""
    capability = capability_of(job_id)
    places = min(live_slots(capability), open_pieces(job_id))
    send_join(canvas(job_id, unit_id, capability, places), unit_id)


TRANSCRIPTION = JobKind(
    name=KIND,
    ring=ring_stage,
    gather=gather,
    submitted=keep_recording,
    main_stage=OUTLINE.main_stage,
    noun=NOUN,
    amount_unit=OUTLINE.amount_unit,
    unit_noun=OUTLINE.unit_noun,
    unit_labels=OUTLINE.unit_labels,
    result_command=OUTLINE.result_command,
    parameters=None,
    remedies=OUTLINE.remedies,
    stages=(
        Stage(name="cut", capability="media", handler=cut, opens="start", record=record_cut),
        Stage(
            name="detect",
            capability="stt",
            handler=detect,
            opens="producer",
            made_by="cut",
            record=record_language,
            prefers=(DETECTS_LANGUAGE,),
            self_contained=True,
            ranked=True,
            light=True,
        ),
        Stage(
            name="transcribe",
            capability="stt",
            handler=transcribe,
            opens="producer",
            made_by="cut",
            record=record_segments,
            record_locks_job=False,
            held=held_until_language,
            queued=record_pieces,
            tolerance=1.0,
            self_contained=True,
            ranked=True,
        ),
        Stage(
            name="merge",
            capability="media",
            handler=merge,
            opens="barrier",
            record=record_transcript,
            light=True,
        ),
    ),
)
