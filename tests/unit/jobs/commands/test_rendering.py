"""What a person reads on the screens."""

from __future__ import annotations

from datetime import UTC, datetime
from io import StringIO
from typing import Any

import pytest
from rich.console import Console, RenderableType

from clustercore.jobs.commands.rendering import jobs_table, live_jobs, units_table
from clustercore.jobs.domain import kinds
from clustercore.jobs.domain.kinds import KindOutline, outline
from clustercore.jobs.domain.line import Place
from clustercore.jobs.domain.progress import JobProgress, NodeShare, UnitProgress
from clustercore.terminal.domain.humanize import printable

AT = datetime(2026, 1, 1, tzinfo=UTC)
SHARE = NodeShare(
    node="laptop", served_by="pocketsphinx:en-us", rung=0, done=3, audio_seconds=90.0, work_seconds=30.0, running=1
)


def shown(renderable: RenderableType) -> str:
    console = Console(file=StringIO(), width=160, color_system=None)
    console.print(renderable)
    return str(console.file.getvalue())  # type: ignore[attr-defined]


PAGES = KindOutline(
    name="reading", stages=("read",), main_stage="read", main_capability="ocr", main_ranked=True, amount_unit="pages",
    unit_noun="page",
)  # fmt: skip
SOUND = KindOutline(
    name="listening", stages=("cut", "hear"), main_stage="hear", main_capability="ears", main_ranked=True,
    amount_unit="s of sound", unit_noun="piece",
)  # fmt: skip


@pytest.fixture(autouse=True)
def kinds_of_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two kinds that are only looked at."""
    monkeypatch.setattr(kinds, "_OUTLINES", {})
    outline(PAGES)
    outline(SOUND)


def a_job(**changes: Any) -> JobProgress:
    values: dict[str, Any] = {
        "id": 7, "kind": "listening", "title": "talk.mp3", "state": "running", "stage": "hear", "priority": 0,
        "language": None, "waiting": "", "error": "", "owner_id": None, "owner": "", "shared": False, "created": AT,
        "finished": None, "elapsed_seconds": 60.0, "fraction": 0.0, "done": 0, "running": 0, "failed": 0, "total": 0,
        "all_queued": False, **changes,
    }  # fmt: skip
    return JobProgress(**values)


def test_a_running_job_shows_its_pieces_its_nodes_and_the_time_left() -> None:
    job = a_job(done=3, total=6, fraction=0.5, all_queued=True, worked_seconds=60.0, shares=(SHARE,))

    text = shown(live_jobs([job]))

    assert "3/6 pieces, 1:00 left" in text
    assert "laptop  pocketsphinx:en-us (rung 0)  3 pieces  3.0× real time  1 in hand" in text  # noqa: RUF001


def test_a_job_in_line_says_its_place_and_when_it_may_begin() -> None:
    waits = a_job(has_begun=False, place=Place(number=12, starts_in_seconds=540.0))
    listed = shown(jobs_table([waits]))
    assert "12th in line, starts in about 9 min" in listed and "running" not in listed
    unknown = a_job(has_begun=False, place=Place(number=12, starts_in_seconds=None))
    assert "waiting, 12th in line, start unknown" in shown(live_jobs([unknown]))


def test_amounts_and_units_are_told_in_the_words_of_the_kind() -> None:
    heard = a_job(done=1, total=2, all_queued=True, weight=163.0)
    assert "2:43 of sound" in shown(jobs_table([heard])) and "1/2 pieces" in shown(live_jobs([heard]))
    read = a_job(kind="reading", done=1, total=2, all_queued=True, weight=1200.0)
    assert "1,200 pages" in shown(jobs_table([read])) and "1/2 pages" in shown(live_jobs([read]))
    unknown = a_job(kind="of-tomorrow", done=1, total=2, all_queued=True, weight=5.0)
    assert "1/2 units" in shown(live_jobs([unknown]))


def test_a_job_that_asks_says_what_and_how_it_is_answered() -> None:
    text = shown(live_jobs([a_job(asks="Send it?")]))
    assert "waits for you: Send it? (`clustercore answer 7`)" in text


def test_while_more_may_come_nobody_pretends_to_know_the_end() -> None:
    text = shown(live_jobs([a_job(done=1, total=2, fraction=0.5)]))

    assert "1/2+ pieces, more to come" in text
    assert "left" not in text


def test_a_waiting_job_says_why_and_what_to_do() -> None:
    text = shown(live_jobs([a_job(waiting="no node is taking work: start one with `clustercore node`")]))

    assert "waiting" in text
    assert "start one with `clustercore node`" in text


def test_a_failed_job_says_why() -> None:
    assert "This is not a recording" in shown(live_jobs([a_job(state="failed", error="This is not a recording")]))


def test_a_job_that_is_done_says_how_many_gaps_it_has() -> None:
    job = a_job(state="done", gaps=2, done=38, total=40)
    for renderable in (live_jobs([job]), jobs_table([job])):
        assert "done, with 2 gaps" in shown(renderable)
    assert "gap" not in shown(jobs_table([a_job(gaps=2)]))


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


def test_an_empty_list_says_what_to_type() -> None:
    assert "clustercore --help" in shown(jobs_table([]))


def test_units_show_which_part_they_are_who_did_them_and_how_fast() -> None:
    unit = UnitProgress(
        id=1, stage="hear", ordinal=0, state="done", progress=1.0, attempts=2, node="laptop",
        served_by="pocketsphinx:en-us", rung=0, seconds=5.0, audio_seconds=15.0, note="",
    )  # fmt: skip

    text = shown(units_table(a_job(), [unit], {1: "0:00 to 0:15"}))

    for word in ("0:00 to 0:15", "pocketsphinx:en-us (rung 0)", "5.0 s", "3.0× real time"):  # noqa: RUF001
        assert word in text


def test_a_finished_job_tells_how_long_it_waited_and_worked_and_how_fast() -> None:
    job = a_job(state="done", audio_seconds=26.0, elapsed_seconds=101.0, worked_seconds=3.0, finished=AT)

    assert "done, waited 1:38, worked 0:03 (8.7×)" in shown(live_jobs([job]))  # noqa: RUF001
