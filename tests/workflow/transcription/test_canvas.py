"""The canvas as data: which task, with which unit, on which queue. No broker is asked."""

from __future__ import annotations

import pytest

from transcription.workflows import MOST_PLACES, canvas, messages


def test_the_cut_and_the_merge_are_one_message_each_on_the_media_queue() -> None:
    for stage in ("cut", "merge"):
        [message] = messages(stage, [41], "media")
        assert (message.task, message.args, message.options["queue"]) == (f"transcription.{stage}", (41,), "cap.media")


@pytest.mark.parametrize("capability", ["stt", "translate"])
def test_a_piece_is_one_message_for_a_node_that_can_do_what_is_asked(capability: str) -> None:
    found = [(one.task, one.args, one.options["queue"]) for one in messages("transcribe", [1, 2], capability)]
    assert found == [("transcription.transcribe", (unit,), f"cap.{capability}") for unit in (1, 2)]


def test_the_canvas_is_one_message_a_place_and_the_merges_own() -> None:
    found = canvas(7, 50, "stt", places=3)
    header = [(one.task, one.args, one.options["queue"]) for one in found.tasks]
    assert header == [("transcription.transcribe_all", (7, "cap.stt"), "cap.stt")] * 3
    assert (found.body.task, found.body.args, found.body.options["queue"]) == (
        "transcription.merge",
        (50,),
        "cap.media",
    )


@pytest.mark.parametrize(("places", "width"), [(0, 1), (5, 5), (5000, MOST_PLACES)])
def test_a_canvas_is_as_wide_as_there_are_places_within_bounds(places: int, width: int) -> None:
    assert len(canvas(7, 50, "stt", places).tasks) == width


def test_no_message_takes_a_value_from_the_one_before() -> None:
    found = canvas(7, 50, "stt", places=2)
    assert all(one.immutable for one in [*found.tasks, found.body])


def test_each_canvas_is_built_afresh() -> None:
    first, second = canvas(7, 50, "stt", 2), canvas(7, 50, "stt", 2)
    assert first is not second
    assert first.tasks[0] is not first.tasks[1]
