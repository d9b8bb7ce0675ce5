"""A job of very many units: counts and a few of them, wherever it is looked at, and never all."""

from __future__ import annotations

import json
import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from clustercore.jobs.domain.line import FAR_BACK, LINE_JOBS, Place
from clustercore.jobs.domain.new_unit import NewUnit
from clustercore.jobs.domain.progress import WIDE_UNITS, JobProgress
from clustercore.jobs.domain.verdict import Done, Fail
from clustercore.jobs.models import Job
from clustercore.jobs.selectors import line, units
from clustercore.jobs.selectors.progress import job_progress
from clustercore.jobs.services.claim import claim
from clustercore.jobs.services.control import cancel_job
from clustercore.jobs.services.queueing import queue_units
from clustercore.jobs.services.settle import settle
from clustercore.jobs.topics import JOB
from tests.cast import LAPTOP, as_claimant, start_node
from tests.fakes.jobs import kinds as fake_kinds
from tests.integration.jobs.conftest import submitted, with_parts
from tests.people import person

PARTS = WIDE_UNITS + 100
SERVED = {"engine": "faster-whisper", "model": "small", "rung": 3, "seconds": 2.0, "audio_seconds": 8.0}


@pytest.fixture
def wide() -> Job:
    """Three of its parts are done, one failed, one is in hand."""
    node = as_claimant(start_node(LAPTOP))
    job, _ = with_parts(PARTS, owner_id=person("otto").pk)
    for verdict in (Done({}), Done({}), Done({}), Fail("no memory")):
        taken = claim(node)
        assert taken is not None
        settle(taken.key, verdict, served_by=SERVED if isinstance(verdict, Done) else {})
    assert claim(node) is not None
    return job


def progress_of(job: Job) -> JobProgress:
    [found] = job_progress(Job.objects.filter(pk=job.pk), with_shares=True)
    return found


def as_otto() -> Client:
    client = Client()
    client.force_login(person("otto"))
    return client


def page(job: Job, query: str = "", status: int = 200) -> str:
    response = as_otto().get(f"/jobs/{job.pk}/{query}")
    assert response.status_code == status
    return str(response.content.decode())


def labels(text: str, stage: str = "Part") -> list[int]:
    """The numbers of the pieces that are shown as cells."""
    return [int(number) for number in re.findall(rf'<button [^>]*aria-label="{stage} (\d+):', text)]


def test_it_is_counted_by_stage_and_state_and_by_node(wide: Job) -> None:
    found = progress_of(wide)
    counted = {stage.stage: dict(stage.states) for stage in found.stages}
    assert counted["part"] == {"done": 3, "failed": 1, "leased": 1, "queued": PARTS - 5}
    assert list(counted) == ["plan", "part", "total"]
    assert (found.done, found.running, found.failed, found.total) == (3, 1, 1, PARTS)
    assert [(share.node, share.done, share.running) for share in found.shares] == [(LAPTOP, 3, 1)]
    assert found.audio_seconds == 24.0


@pytest.mark.django_db(transaction=True)
def test_it_tells_how_fast_it_goes_and_when_it_may_end(wide: Job) -> None:
    found = progress_of(wide)
    assert found.pace is not None and found.pace.units_per_minute > 0
    left = PARTS - 4
    assert found.seconds_left == pytest.approx(left / found.pace.weight_per_second)
    narrow, _ = with_parts(2)
    assert progress_of(narrow).pace is None


def test_the_window_holds_what_a_person_asks_for_first(wide: Job) -> None:
    window = units.window_of(progress_of(wide))
    assert [unit.ordinal for unit in window.last_done] == [0, 1, 2]
    assert [(unit.ordinal, unit.note) for unit in window.troubled] == [(3, "no memory")]
    assert [(unit.ordinal, unit.node) for unit in window.in_hand] == [(4, LAPTOP)]
    assert [unit.ordinal for unit in window.next] == list(range(5, 5 + units.NEXT))


@pytest.mark.django_db(transaction=True)
def test_its_page_shows_counts_and_a_few_pieces_and_goes_through_the_others_in_order(wide: Job) -> None:
    first = page(wide)
    assert f'id="job-{wide.pk}-counts"' in first
    assert labels(first) == [5, 4, *range(6, 6 + units.NEXT), 1, 2, 3]
    assert "failed, on laptop, no memory" in first
    shown = page(wide, "?from=501")
    assert labels(shown)[-100:] == list(range(501, PARTS + 1))
    assert "?from=1#pieces-in-order" in shown and 'rel="next"' not in shown
    whole = page(wide, "?from=1")
    assert labels(whole)[-500:] == list(range(1, 501))
    assert "?from=501#pieces-in-order" in whole and 'rel="prev"' not in whole
    assert labels(page(wide, "?state=failed"))[-1:] == [4]
    assert "There is none from 900 on" in page(wide, "?from=900")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("query", ["?from=0", "?from=x", "?from=" + "9" * 40, "?from=²", "?state=unheard"])
def test_a_page_that_cannot_be_is_refused_in_words(wide: Job, query: str) -> None:
    assert query[1:].partition("=")[0].title() in page(wide, query, 400)


@pytest.mark.django_db(transaction=True)
def test_a_narrow_job_shows_every_piece_and_nothing_else() -> None:
    job, _ = with_parts(8, owner_id=person("otto").pk)
    text = page(job, "?from=3")
    assert labels(text) == list(range(1, 9))
    assert "pieces-in-order" not in text


@pytest.mark.django_db(transaction=True)
def test_the_api_lists_its_units_by_state_and_stage(wide: Job) -> None:
    client, address = as_otto(), f"/api/v1/jobs/{wide.pk}"
    body = client.get(address).json()
    assert body["stages"][1]["states"] == {"done": 3, "failed": 1, "leased": 1, "queued": PARTS - 5}
    assert body["units_per_minute"] > 0
    done = client.get(f"{address}/units?state=done&stage=part&limit=2").json()
    assert [unit["ordinal"] for unit in done["results"]] == [0, 1]
    rest = client.get(f"{address}/units", {"state": "done", "stage": "part", "cursor": done["next_cursor"]}).json()
    assert ([unit["ordinal"] for unit in rest["results"]], rest["next_cursor"]) == ([2], None)
    refused = client.get(f"{address}/units?state=unheard")
    assert refused.status_code == 400 and "state" in refused.content.decode()


def sent(job: Job) -> dict[str, str]:
    key = str(job.pk)
    facts = JOB.load({key: None})[key]
    made = {part.id: part.make() for part in JOB.parts(key, facts)}
    return made | {"state": json.dumps(JOB.state(key, facts), default=str)}


def test_what_watchers_are_sent_does_not_grow_with_it(wide: Job) -> None:
    before = sent(wide)
    assert f"job-{wide.pk}-pieces-0" not in before
    more = [NewUnit(stage="part", ordinal=PARTS + number) for number in range(1500)]
    queue_units(fake_kinds.SUMS, wide.pk, more)
    after = sent(wide)
    assert after.keys() == before.keys()
    assert sum(map(len, after.values())) < sum(map(len, before.values())) + 200
    assert "2,095" in after[f"job-{wide.pk}-counts"]


def test_looking_at_it_costs_the_same_queries_however_many_units_it_has(wide: Job) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            sent(wide)
        return len(captured)

    queries()
    few = queries()
    queue_units(fake_kinds.SUMS, wide.pk, [NewUnit(stage="part", ordinal=PARTS + number) for number in range(600)])
    assert queries() == few


def test_who_stands_behind_very_many_jobs_is_told_so_and_nobody_counts_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "LINE_JOBS", 2)
    first, second, third = (submitted() for _ in range(3))
    places = line.places_in_line([first.pk, second.pk, third.pk])
    assert [places[job.pk].number for job in (first, second)] == [1, 2]
    assert places[third.pk] == FAR_BACK == Place(number=LINE_JOBS + 1, starts_in_seconds=None)


def test_what_is_left_of_a_wide_job_before_it_is_counted_to_the_last_unit(
    wide: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = submitted()
    exact = line.places_in_line([waits.pk])[waits.pk]
    monkeypatch.setattr(line, "LONGEST_COUNTED", 50)
    assert line.places_in_line([waits.pk])[waits.pk] == exact
    assert exact.starts_in_seconds is not None
    monkeypatch.setattr(line, "WIDE_COUNTED", 0)
    assert line.places_in_line([waits.pk])[waits.pk] == Place(number=1, starts_in_seconds=None)


def test_a_job_that_was_cancelled_while_it_was_cut_never_knew_all_its_pieces() -> None:
    job = submitted()
    cancel_job(job.pk)
    assert not progress_of(job).all_queued


def test_what_waits_for_others_says_for_what() -> None:
    job, _ = with_parts(2)
    [last] = [unit for unit in units.units_of(job.pk) if unit.stage == "total"]
    assert (last.state, last.note) == ("blocked", "waits for all of part")


def test_its_units_and_its_story_come_in_pages(wide: Job) -> None:
    first = units.units_page(wide.pk, 0, 50)
    assert [unit.id for unit in units.units_page(wide.pk, first[24].id, 25)] == [unit.id for unit in first[25:]]
    told = units.latest_events([wide.pk], 2)[wide.pk]
    assert [line.id for line in told] == sorted(line.id for line in told)
    assert len(told) == 2
