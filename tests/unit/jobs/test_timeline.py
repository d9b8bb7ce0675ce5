"""The timeline of attempts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from clustercore.jobs.domain.progress import AttemptLine
from clustercore.jobs.domain.timeline import ROWS, WIDTH, timeline_of

BEGIN = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def attempt(which: int, node: str, start: float, end: float | None, **changes: object) -> AttemptLine:
    line = AttemptLine(
        id=which,
        unit_id=which,
        stage="transcribe",
        ordinal=which,
        number=1,
        node=node,
        outcome="done" if end is not None else "live",
        started=BEGIN + timedelta(seconds=start),
        ended=None if end is None else BEGIN + timedelta(seconds=end),
        reason="",
        served_by="",
    )
    return replace(line, **changes)  # type: ignore[arg-type]


def test_without_attempts_there_are_no_lanes() -> None:
    assert timeline_of(7, [], {}).lanes == ()


def test_each_node_has_a_lane_in_the_order_in_which_they_took_part() -> None:
    lanes = timeline_of(7, [attempt(2, "attic", 5, 9), attempt(1, "pi", 0, 20)], {"pi": 4}).lanes
    assert [(lane.node, lane.colour) for lane in lanes] == [("pi", "4"), ("attic", "none")]


def test_bars_lie_where_they_were_in_time() -> None:
    [lane] = timeline_of(7, [attempt(1, "pi", 0, 10), attempt(2, "pi", 10, 40)], {}).lanes
    assert [(bar.x, bar.width, bar.row) for bar in lane.bars] == [(0.0, 250.0, 0), (250.0, 750.0, 0)]


def test_what_a_node_does_at_once_lies_in_rows_and_a_free_row_is_used_again() -> None:
    tried = [attempt(1, "pi", 0, 20), attempt(2, "pi", 5, 10), attempt(3, "pi", 12, 18)]
    [lane] = timeline_of(7, tried, {}).lanes
    assert [bar.row for bar in lane.bars] == [0, 1, 1]
    assert lane.height == 32


def test_a_running_attempt_reaches_the_right_edge() -> None:
    [lane] = timeline_of(7, [attempt(1, "pi", 0, 10), attempt(2, "pi", 10, None)], {}).lanes
    assert lane.bars[1].x + lane.bars[1].width == WIDTH


def test_it_changes_only_when_an_attempt_does() -> None:
    tried = [attempt(1, "pi", 0, None)]
    assert timeline_of(7, tried, {}) == timeline_of(7, list(tried), {})


def test_the_shortest_attempt_can_still_be_seen() -> None:
    [lane] = timeline_of(7, [attempt(1, "pi", 0, 36_000), attempt(2, "pi", 36_000, 36_000.001)], {}).lanes
    assert lane.bars[1].width >= 2


def test_a_bar_says_what_it_was() -> None:
    lost = attempt(3, "pi", 0, 20, number=2, outcome="expired", reason="no heartbeat for 20 s")
    [lane] = timeline_of(7, [lost], {}).lanes
    assert lane.bars[0].label == (
        "transcribe 4, attempt 2 on pi, lost: no sign of life after 20 s: no heartbeat for 20 s"
    )


def test_the_table_has_the_latest_attempts_and_says_how_many_there_were() -> None:
    tried = [attempt(number, "pi", number, number + 1) for number in range(ROWS + 5)]
    timeline = timeline_of(7, tried, {})
    assert timeline.total == ROWS + 5
    assert (len(timeline.attempts), timeline.attempts[-1].id) == (ROWS, ROWS + 4)
    assert len(timeline.lanes[0].bars) == ROWS + 5
