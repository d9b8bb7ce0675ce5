"""The canvas as data: which task, with which unit, on which queue. No broker is asked."""

from __future__ import annotations

from celery.canvas import chord

from transcription.workflows import canvases


def wave_of(*unit_ids: int, capability: str = "stt") -> chord:
    [canvas] = canvases(7, "transcribe", unit_ids, capability)
    assert isinstance(canvas, chord)
    return canvas


def test_the_cut_is_one_bell_on_the_media_queue() -> None:
    [bell] = canvases(7, "cut", [41], "stt")
    assert (bell.task, bell.args, bell.options["queue"]) == ("transcription.cut", (41,), "cap.media")


def test_a_wave_of_pieces_is_achord_whose_body_advances_the_job() -> None:
    wave = wave_of(1, 2, 3)
    header = [(bell.task, bell.args, bell.options["queue"]) for bell in wave.tasks]
    assert header == [("transcription.transcribe", (unit,), "cap.stt") for unit in (1, 2, 3)]
    assert (wave.body.task, wave.body.args, wave.body.options["queue"]) == ("jobs.advance", (7,), "cap.media")


def test_pieces_to_be_translated_ask_for_a_node_that_translates() -> None:
    wave = wave_of(1, 2, capability="translate")
    assert [bell.options["queue"] for bell in wave.tasks] == ["cap.translate"] * 2


def test_no_bell_takes_a_value_from_the_one_before() -> None:
    wave = wave_of(1)
    assert all(bell.immutable for bell in [*wave.tasks, wave.body])


def test_each_launch_is_built_afresh() -> None:
    [first], [second] = canvases(7, "transcribe", [1], "stt"), canvases(7, "transcribe", [1], "stt")
    assert first is not second


def test_the_merge_is_one_bell_on_the_media_queue() -> None:
    [bell] = canvases(7, "merge", [50], "stt")
    assert (bell.task, bell.args, bell.options["queue"]) == ("transcription.merge", (50,), "cap.media")
