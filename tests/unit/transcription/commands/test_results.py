"""What `transcribe` says of its results."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from clustercore.jobs.domain.progress import JobProgress, NodeShare
from transcription.commands.results import Submitted, Written, _result, notes_in_common, quality_hint
from transcription.domain.transcript import Gap

ASSUMED = "the language was taken to be English"
AT = datetime(2026, 1, 1, tzinfo=UTC)


def job(**changes: Any) -> JobProgress:
    values: dict[str, Any] = {
        "id": 1, "kind": "transcription", "title": "talk", "state": "done", "stage": "merge", "priority": 0,
        "language": "en", "waiting": "", "error": "", "owner_id": None, "owner": "", "shared": False, "created": AT,
        "finished": AT, "elapsed_seconds": 2.0, "fraction": 1.0, "done": 1, "running": 0, "failed": 0, "total": 1,
        "all_queued": True, **changes,
    }  # fmt: skip
    return JobProgress(**values)


def result(written: Written, **changes: Any) -> str:
    return _result(Submitted(Path("talk.wav"), 1, True), job(**changes), written).plain


def share(served_by: str, rung: int) -> NodeShare:
    return NodeShare(node="a", served_by=served_by, rung=rung, done=1, running=0, audio_seconds=1.0, work_seconds=1.0)


def test_a_note_that_several_recordings_have_is_told_once_with_their_number() -> None:
    assert notes_in_common({1: [ASSUMED, "breaks off"], 2: [ASSUMED], 3: [ASSUMED, ASSUMED]}) == {ASSUMED: 3}
    assert notes_in_common({1: [ASSUMED, "breaks off"]}) == {}


def test_a_recording_without_words_is_said_to_have_none() -> None:
    assert "no words were heard in this recording" in result(Written("", {"txt": Path("talk.txt")}))
    assert "no words" not in result(Written("Hello", {"txt": Path("talk.txt")}))


def test_a_note_of_one_recording_stands_with_it() -> None:
    assert "breaks off" in result(Written("Hello", notes=["breaks off"]))


def test_a_gap_is_told_with_its_times_its_reason_and_what_to_type() -> None:
    written = Written("Hello", {"txt": Path("talk.txt")}, gaps=[Gap(80.0, 110.0, "could not be heard: it broke")])
    told = result(written, gaps=1)
    assert ", done, with 1 gap" in told
    assert "no text from 1:20 to 1:50: could not be heard: it broke" in told
    assert "clustercore retry 1" in told
    assert "talk.txt" in told


def test_the_rough_rung_comes_with_a_hint_and_a_better_one_does_not() -> None:
    assert "clustercore models pull" in quality_hint([job(shares=(share("pocketsphinx:en-us", 0),))])
    assert quality_hint([job(shares=(share("faster-whisper:small", 3),))]) == ""
