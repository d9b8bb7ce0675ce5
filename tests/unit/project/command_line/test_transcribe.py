"""What `transcribe` says of its results."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from clustercore.project.command_line.figures import JobFigures
from clustercore.project.command_line.transcribe import Submitted, Written, _result, notes_in_common
from transcription.domain.transcript import Gap

ASSUMED = "the language was taken to be English"


def job(number: int, *notes: str) -> JobFigures:
    return JobFigures(id=number, title="talk", state="done", stage="merge", elapsed=2.0, audio_seconds=4.0, notes=notes)


def result(written: Written, *notes: str) -> str:
    return _result(Submitted(Path("talk.wav"), 1, True), job(1, *notes), written, notes).plain


def test_a_note_that_several_recordings_have_is_told_once_with_their_number() -> None:
    jobs = [job(1, ASSUMED, "breaks off"), job(2, ASSUMED), job(3, ASSUMED, ASSUMED)]
    assert notes_in_common(jobs) == {ASSUMED: 3}
    assert notes_in_common(jobs[:1]) == {}


def test_a_recording_without_words_is_said_to_have_none() -> None:
    assert "no words were heard in this recording" in result(Written("", {"txt": Path("talk.txt")}))
    assert "no words" not in result(Written("Hello", {"txt": Path("talk.txt")}))


def test_a_note_of_one_recording_stands_with_it() -> None:
    assert "breaks off" in result(Written("Hello"), "breaks off")


def test_a_gap_is_told_with_its_times_its_reason_and_what_to_type() -> None:
    written = Written("Hello", {"txt": Path("talk.txt")}, gaps=[Gap(80.0, 110.0, "could not be heard: it broke")])
    told = _result(Submitted(Path("talk.wav"), 1, True), replace(job(1), gaps=1), written, ()).plain
    assert ", done, with 1 gap" in told
    assert "no text from 1:20 to 1:50: could not be heard: it broke" in told
    assert "clustercore retry 1" in told
    assert "talk.txt" in told
