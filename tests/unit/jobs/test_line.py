"""Where a job stands in line, and when it may be expected to begin."""

from __future__ import annotations

import math

import pytest

from clustercore.jobs.domain.humanize import ordinal_words, place_words, took_words
from clustercore.jobs.domain.line import FAR_BACK, Demand, Place, QueuedJob, Server, places, rate_for, usual_amount
from clustercore.terminal.domain.humanize import factor_words

SMALL = Server(
    node_id=1, slots=2, capability="stt", engine="faster-whisper", model="small", traits=("lang:*",), rung=3, rate=10.0
)
ROUGH = Server(
    node_id=2, slots=1, capability="stt", engine="pocketsphinx", model="en-us", traits=("lang:en",), rung=0, rate=5.0
)


def a_job(number: int, *, begun: bool = False, amount: float | None = 60.0, left: float | None = None) -> QueuedJob:
    return QueuedJob(id=number, has_begun=begun, amount=amount, amount_left=amount if left is None else left)


def test_a_job_waits_for_what_is_left_of_those_before_it_at_the_speed_of_the_nodes_that_can_do_it() -> None:
    line = [a_job(1, begun=True, left=300.0), a_job(2, amount=600.0), a_job(3)]
    assert places(line, {2: 1.0, 3: 10.0}, None) == {
        2: Place(number=1, starts_in_seconds=300.0),
        3: Place(number=2, starts_in_seconds=90.0),
    }


def test_only_the_first_in_line_starts_now() -> None:
    line = [a_job(1, amount=1.0), a_job(2, amount=1.0), a_job(3)]
    starts = [place.starts_in_seconds for place in places(line, dict.fromkeys((1, 2, 3), 100.0), None).values()]
    assert starts == [0.0, 15.0, 15.0]


def test_what_has_begun_stands_in_no_line() -> None:
    assert places([a_job(1, begun=True)], {1: 1.0}, None) == {}


def test_without_a_measured_speed_or_a_known_amount_nobody_pretends_to_know() -> None:
    line = [a_job(1, begun=True, amount=None), a_job(2)]
    assert places([a_job(1), a_job(2)], {}, None)[2].starts_in_seconds is None
    assert places(line, {2: 10.0}, None)[2].starts_in_seconds is None


def test_behind_more_than_anybody_counts_no_start_is_expected() -> None:
    line = [a_job(1, begun=True, left=math.inf), a_job(2)]
    assert places(line, {2: 10.0}, None) == {2: Place(number=1, starts_in_seconds=None)}


def test_a_recording_of_unknown_length_counts_as_the_usual_one() -> None:
    line = [a_job(1, begun=True, amount=None), a_job(2, amount=None), a_job(3, amount=100.0), a_job(4, amount=200.0)]
    usual = usual_amount(line, finished=1.0)
    assert usual == 150.0
    assert places(line, {3: 1.0}, usual)[3].starts_in_seconds == 300.0
    assert usual_amount(line[:2], finished=42.0) == 42.0


def test_the_speed_is_that_of_the_nodes_that_may_take_part() -> None:
    assert rate_for(Demand(capability="stt", needs=("lang:en",)), [SMALL, ROUGH]) == 20.0
    assert rate_for(Demand(capability="stt", needs=("lang:en",), lowest_rung=0), [SMALL, ROUGH]) == 25.0
    assert rate_for(Demand(capability="stt", needs=("lang:en",), engine="pocketsphinx"), [SMALL, ROUGH]) == 5.0
    assert rate_for(Demand(capability="stt", needs=("lang:de",), engine="pocketsphinx"), [SMALL, ROUGH]) is None
    # Nobody was heard to speak: any model will do.
    assert rate_for(Demand(capability="stt", engine="pocketsphinx"), [SMALL, ROUGH]) == 5.0
    assert rate_for(Demand(capability="translate"), [SMALL, ROUGH]) is None


def test_a_node_with_two_models_has_its_slots_once() -> None:
    twice = [SMALL, Server(node_id=1, slots=2, capability="stt", engine="faster-whisper", model="tiny",
                           traits=("lang:*",), rung=2, rate=40.0)]  # fmt: skip
    assert rate_for(Demand(capability="stt"), twice) == 20.0


@pytest.mark.parametrize(
    ("number", "words"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (22, "22nd"), (112, "112th")]
)
def test_places_read_as_people_say_them(number: int, words: str) -> None:
    assert ordinal_words(number) == words


def test_a_place_reads_with_its_expectation_or_says_that_there_is_none() -> None:
    assert place_words(Place(number=12, starts_in_seconds=540.0)) == "12th in line, starts in about 9 min"
    assert place_words(Place(number=1, starts_in_seconds=30.0)) == "1st in line, starts in under a minute"
    assert place_words(Place(number=2, starts_in_seconds=None)) == "2nd in line, start unknown"
    assert place_words(None) == ""
    assert place_words(FAR_BACK) == "more than 500 jobs before it"


def test_waiting_is_told_apart_from_working_and_no_speed_reads_as_nothing() -> None:
    assert took_words(98.0, 3.0, 8.66) == "waited 1:38, worked 0:03 (8.7×)"  # noqa: RUF001
    assert took_words(0.4, 3700.0, None) == "waited 0:00, worked 1:01:40"
    assert factor_words(0.02) == "under 0.1×"  # noqa: RUF001
    assert factor_words(1429.0) == "1429×"  # noqa: RUF001
