"""`clustercore jobs` and `clustercore job`: what a person and a script see, of however many units."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import transaction

from clustercore.jobs.commands import showing
from clustercore.jobs.domain.bodies import job_body
from clustercore.jobs.domain.new_unit import NewUnit
from clustercore.jobs.models import Job, Unit
from clustercore.jobs.selectors.progress import job_progress
from clustercore.jobs.services.queueing import queue_units
from clustercore.terminal.domain.endings import CommandError, ExitCode
from tests.fakes.jobs.letters import LETTERS
from tests.integration.jobs.letters import letter

LAST = LETTERS.stages[-1].name
pytestmark = [pytest.mark.services, pytest.mark.django_db]


@contextmanager
def in_touch() -> Iterator[None]:
    """This process is, without asking."""
    yield


@pytest.fixture
def unit(letters: None, monkeypatch: pytest.MonkeyPatch) -> Unit:
    """The first of five letters of one job."""
    monkeypatch.setattr(showing, "cluster", in_touch)
    first = letter()
    with transaction.atomic():
        queue_units(LETTERS, first.job_id, [NewUnit(stage="send", ordinal=place) for place in range(1, 5)])
    Unit.objects.filter(job=first.job, ordinal__gte=3).update(state="failed", error="no such address")
    return first


def read(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_a_script_reads_a_list_of_jobs_as_the_api_says_them(unit: Unit, capsys: pytest.CaptureFixture[str]) -> None:
    assert showing.jobs(as_json=True) == ExitCode.DONE
    [job] = read(capsys)
    assert job.keys() == job_body(job_progress(Job.objects.all())[0]).keys()
    assert (job["kind"], job["units"]["total"]) == ("letters", 5)


def test_units_come_a_window_at_a_time_and_the_end_says_how_to_see_more(
    unit: Unit, capsys: pytest.CaptureFixture[str]
) -> None:
    showing.job(unit.job_id, as_json=True, limit=3)
    page = read(capsys)["unit_page"]
    assert [(one["stage"], one["ordinal"]) for one in page["results"]] == [("send", 0), ("send", 1), (LAST, 0)]
    showing.job(unit.job_id, as_json=True, limit=3, after=page["next_after"])
    last = read(capsys)["unit_page"]
    assert ([one["ordinal"] for one in last["results"]], last["next_after"]) == ([2, 3, 4], None)

    showing.job(unit.job_id, units=True, limit=3)
    assert f"clustercore job {unit.job_id} --units --after {page['next_after']}" in capsys.readouterr().err
    showing.job(unit.job_id, units=True)
    assert "There are more" not in capsys.readouterr().err


def test_units_of_one_state_alone_can_be_asked_for(unit: Unit, capsys: pytest.CaptureFixture[str]) -> None:
    showing.job(unit.job_id, units=True, state="failed", limit=1)
    said = capsys.readouterr()
    assert "no such address" in said.out and "--state failed --after" in said.err
    with pytest.raises(CommandError, match="--state") as refused:
        showing.job(unit.job_id, units=True, state="lost")
    assert refused.value.code == ExitCode.USAGE


def test_the_story_is_as_long_as_it_is_asked_for(unit: Unit, capsys: pytest.CaptureFixture[str]) -> None:
    showing.job(unit.job_id, as_json=True, events=0)
    assert read(capsys)["events"] == []
    showing.job(unit.job_id, as_json=True, events=1)
    assert len(read(capsys)["events"]) == 1
