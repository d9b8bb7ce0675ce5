"""What a person reads on the screens."""

from __future__ import annotations

from datetime import UTC, datetime
from io import StringIO

import pytest
from rich.console import Console, RenderableType

from clustercore.project.command_line.figures import JobFigures, ModelFigures, NodeFigures, NodeShare, UnitFigures
from clustercore.project.command_line.rendering import (
    duration,
    jobs_table,
    live_jobs,
    nodes_table,
    pieces_table,
    printable,
    quality_hint,
    speed_text,
    units_table,
)

SHARE = NodeShare(
    node="laptop", served_by="pocketsphinx:en-us", rung=0, pieces=3, audio_seconds=90.0, work_seconds=30.0, running=1
)


def shown(renderable: RenderableType) -> str:
    console = Console(file=StringIO(), width=160, color_system=None)
    console.print(renderable)
    return str(console.file.getvalue())  # type: ignore[attr-defined]


def a_job(**changes: object) -> JobFigures:
    values: dict[str, object] = {"id": 7, "title": "talk.mp3", "state": "running", "stage": "transcribe", **changes}
    return JobFigures(**values)  # type: ignore[arg-type]


def a_node(**changes: object) -> NodeFigures:
    values: dict[str, object] = {
        "name": "laptop", "hostname": "laptop", "condition": "online", "why": "", "operating_system": "Linux 6",
        "architecture": "x86_64", "cores": 4, "memory_mb": 8000, "gpus": (), "version": "0.1.0", "slots": 2,
        "busy": 1, "seen_seconds_ago": 1.0, **changes,
    }  # fmt: skip
    return NodeFigures(**values)  # type: ignore[arg-type]


def test_a_running_job_shows_its_pieces_its_nodes_and_the_time_left() -> None:
    job = a_job(done=3, total=6, fraction=0.5, cut=True, seconds_left=60.0, shares=(SHARE,))

    text = shown(live_jobs([job]))

    assert "3/6 pieces, 1:00 left" in text
    assert "laptop  pocketsphinx:en-us (rung 0)  3 pieces  3.0× real time  1 in hand" in text  # noqa: RUF001


def test_a_job_in_line_says_its_place_and_when_it_may_begin() -> None:
    waits = {"standing": "waiting", "place": 12}
    listed = shown(jobs_table([a_job(**waits, starts_in_seconds=540.0)]))
    assert "12th in line, starts in about 9 min" in listed and "running" not in listed
    assert "waiting, 12th in line, start unknown" in shown(live_jobs([a_job(**waits)]))


def test_while_it_is_being_cut_nobody_pretends_to_know_the_end() -> None:
    text = shown(live_jobs([a_job(done=1, total=2, fraction=0.5, elapsed=60.0)]))

    assert "1/2+ pieces, being cut" in text
    assert "left" not in text


def test_a_waiting_job_says_why_and_what_to_do() -> None:
    text = shown(live_jobs([a_job(waiting="no node is taking work: start one with `clustercore node`")]))

    assert "waiting" in text
    assert "start one with `clustercore node`" in text


def test_a_failed_job_says_why() -> None:
    assert "This is not a recording" in shown(live_jobs([a_job(state="failed", error="This is not a recording")]))


def test_a_job_that_is_done_says_how_many_gaps_it_has() -> None:
    job = a_job(state="done", standing="done", gaps=2, done=38, total=40)
    for renderable in (live_jobs([job]), jobs_table([job])):
        assert "done, with 2 gaps" in shown(renderable)
    assert "gap" not in shown(jobs_table([a_job(standing="running", gaps=2)]))


@pytest.mark.parametrize("title", ["[red]x[/red]", "[/]", "a\nb", "\x1b[31mx", "[link=http://x]y"])
def test_a_file_name_is_text_and_never_markup_or_an_escape(title: str) -> None:
    for renderable in (live_jobs([a_job(title=title)]), jobs_table([a_job(title=title)])):
        text = shown(renderable)
        assert printable(title) in text
        assert "\x1b" not in text


def test_a_name_of_255_characters_keeps_its_line() -> None:
    text = shown(live_jobs([a_job(title="x" * 251 + ".mp3")]))

    assert "….mp3" not in text
    assert ".mp3" in text
    assert all(len(line) <= 160 for line in text.splitlines())


def test_a_held_node_says_why() -> None:
    text = shown(nodes_table([a_node(condition="held", why="on battery")]))

    assert "held" in text
    assert "on battery" in text


def test_a_model_that_cannot_be_used_says_why_and_one_that_can_says_how_fast() -> None:
    models = (
        ModelFigures(
            capability="stt", label="pocketsphinx:en-us", rung=0, traits=("lang:en",), memory_mb=100, usable=True,
            self_test={"passed": True, "real_time_factor": 0.25, "device": "cpu"},
        ),
        ModelFigures(
            capability="stt", label="vosk:en-small", rung=1, traits=("lang:en",), memory_mb=0, usable=False,
            reason="no Vosk model is here; type: clustercore models pull vosk:en-small",
        ),
    )  # fmt: skip

    text = shown(nodes_table([a_node(models=models)]))

    assert "self-test passed, 4.0× real time" in text  # noqa: RUF001
    assert "clustercore models pull vosk:en-small" in text


def test_a_node_without_any_model_is_still_shown() -> None:
    assert "laptop" in shown(nodes_table([a_node()]))


def test_empty_lists_say_what_to_type() -> None:
    assert "clustercore transcribe FILE" in shown(jobs_table([]))
    assert "clustercore node" in shown(nodes_table([]))


def test_pieces_show_who_heard_them_and_how_fast() -> None:
    unit = UnitFigures(
        id=1, stage="transcribe", ordinal=0, state="done", attempts=2, node="laptop",
        served_by="pocketsphinx:en-us", rung=0, seconds=5.0, speed=3.0, start=0.0, end=15.0, note="",
    )  # fmt: skip

    for table in (pieces_table([unit]), units_table([unit])):
        text = shown(table)
        assert "0:00–0:15" in text  # noqa: RUF001
        assert "pocketsphinx:en-us (rung 0)" in text
        assert "5.0 s" in text


def test_the_rough_rung_comes_with_a_hint_and_a_better_one_does_not() -> None:
    better = NodeShare(
        node="a", served_by="faster-whisper:small", rung=3, pieces=1, audio_seconds=1.0, work_seconds=1.0
    )

    assert "clustercore models pull" in quality_hint([a_job(shares=(SHARE,))])
    assert quality_hint([a_job(shares=(better,))]) == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (59.6, "1:00"), (61, "1:01"), (3723, "1:02:03"), (None, "–")],  # noqa: RUF001
)
def test_durations_read_like_a_clock(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_a_speed_is_told_against_real_time() -> None:
    assert speed_text(2.94) == "2.9× real time"  # noqa: RUF001
    assert speed_text(None) == ""


def test_a_finished_job_tells_how_long_it_waited_and_worked_and_how_fast() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    job = a_job(
        state="done", audio_seconds=26.0, waited_seconds=98.0, worked_seconds=3.0, speed=8.66, created=at, finished=at
    )

    assert "done, waited 1:38, worked 0:03 (8.7×)" in shown(live_jobs([job]))  # noqa: RUF001
