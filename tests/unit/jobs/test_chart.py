"""The chart of the last hour, and the cluster in figures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from clustercore.jobs.domain.chart import chart_of, counts_of
from clustercore.jobs.domain.figures import figures_of
from clustercore.jobs.domain.progress import JobProgress, Pace, StageCounts
from clustercore.nodes.domain.node_status import Holding, NodeStatus, NodeWork

BEGIN = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
READY = NodeStatus(
    id=1,
    name="pi",
    hostname="pi",
    condition="online",
    why="",
    operating_system="Linux",
    architecture="aarch64",
    cores=4,
    memory_mb=4000,
    gpus=(),
    version="1",
    slots=2,
    busy=0,
    last_seen=BEGIN,
    seen_seconds_ago=0.0,
    started=BEGIN,
    drained=False,
    capabilities=("stt",),
)


@dataclass(frozen=True)
class Minute:
    at: datetime
    done: int
    audio_seconds: float


def minutes(*done_and_sound: tuple[int, float]) -> list[Minute]:
    return [Minute(BEGIN + timedelta(minutes=n), done, sound) for n, (done, sound) in enumerate(done_and_sound)]


def test_an_hour_without_work_has_no_bars_and_says_so() -> None:
    assert chart_of([]).bars == ()
    assert chart_of(minutes((0, 0.0), (0, 0.0))).summary == "Nothing was done in the last hour."


def test_bars_are_as_high_as_the_sound_that_was_heard() -> None:
    chart = chart_of(minutes((1, 30.0), (0, 0.0), (4, 120.0)))
    assert [(bar.x, bar.y, bar.height) for bar in chart.bars] == [(0, 75.0, 25.0), (10, 100.0, 0.0), (20, 0.0, 100.0)]
    assert chart.top_words == "2 min of sound in a minute"
    assert chart.summary == "5 pieces in the last hour, 2 min 30 s of sound."


def test_work_that_hears_nothing_is_counted_in_pieces() -> None:
    chart = chart_of(minutes((1, 0.0), (2, 0.0)))
    assert [bar.height for bar in chart.bars] == [50.0, 100.0]
    assert chart.summary == "3 pieces in the last hour."


def test_the_cluster_in_figures_counts_who_is_there_and_who_works() -> None:
    held = Holding(job_id=1, unit_id=1, stage="part", ordinal=0, since=BEGIN, progress=0.0)
    nodes = [
        replace(READY, busy=1, work=NodeWork(holdings=(held,))),
        replace(READY, id=2, condition="idle"),
        replace(READY, id=3, condition="held"),
        replace(READY, id=4, condition="offline", slots=16),
    ]
    figures = figures_of(nodes, minutes((1, 30.0), (2, 60.0)))
    assert (figures.nodes_working, figures.nodes_total, figures.slots_busy, figures.slots) == (2, 4, 1, 6)
    assert (figures.done_hour, figures.audio_hour) == (3, 90.0)


def test_the_units_of_a_stage_are_one_bar_of_what_people_tell_apart() -> None:
    states = (("blocked", 100), ("done", 50_000), ("dead", 1), ("failed", 4), ("queued", 49_895))
    [bar] = counts_of(a_wide_job(StageCounts(stage="transcribe", states=states))).stages
    assert bar.total == 100_000
    assert bar.words == "50,000 done, 5 failed, 49,995 waiting"
    done, running, failed, *_, waiting = bar.shares
    assert (done.x, done.width, running.width) == (0.0, 500.0, 0.0)
    # However few failed, they can be seen.
    assert failed.x == 500.0 and failed.width >= 2.0
    assert waiting.x == failed.x + failed.width


def test_the_pace_is_told_coarsely_and_only_where_there_is_one() -> None:
    job = a_wide_job(StageCounts(stage="transcribe", states=(("queued", 1200),)))
    assert counts_of(job).pace == ""
    fast = replace(job, pace=Pace(units_per_minute=1234.5, weight_per_second=20.0), weight_left=1200.0)
    assert (counts_of(fast).pace, counts_of(fast).left) == ("about 1,200 a minute", 60.0)
    slow = replace(job, pace=Pace(units_per_minute=0.25, weight_per_second=1.0))
    assert counts_of(slow).pace == "about 0.2 a minute"


def a_wide_job(stage: StageCounts) -> JobProgress:
    return JobProgress(
        id=7, kind="transcription", title="talk", state="running", stage=stage.stage, priority=0, language=None,
        waiting="", error="", owner_id=None, owner="",
        shared=False, created=datetime(2026, 11, 21, tzinfo=UTC), finished=None,
        elapsed_seconds=60.0, fraction=0.5, done=0, running=0, failed=0, total=stage.total, all_queued=True,
        stages=(stage,), counted_stage=stage.stage,
    )  # fmt: skip
