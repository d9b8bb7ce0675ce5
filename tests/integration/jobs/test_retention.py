"""What a job leaves behind is kept for a while; what it made, and who made it, for ever."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db.models import F
from django.db.models.functions import Now
from django.test import Client

from clustercore.blobs import services as blobs
from clustercore.config.environment import environment, set_variables
from clustercore.jobs.domain.notes import NOTE
from clustercore.jobs.domain.verdict import Done, Fail, Retry
from clustercore.jobs.models import Attempt, Job, JobEvent, Unit
from clustercore.jobs.selectors.progress import job_progress
from clustercore.jobs.selectors.units import units_of
from clustercore.jobs.services.control import cancel_job, retry_job
from clustercore.jobs.services.events import record_event
from clustercore.jobs.services.retention import shorten_stories, tidy_ledger
from clustercore.jobs.services.settle import settle
from clustercore.nodes.models import Node
from tests.cast import LAPTOP, start_node
from tests.integration.jobs.conftest import submitted, with_parts
from tests.integration.jobs.test_settle import make_due, taken_by
from tests.people import person

YEAR = timedelta(days=365)
SERVED = {"engine": "vosk", "model": "small", "rung": 1, "seconds": 2.0, "audio_seconds": 8.0}


@pytest.fixture
def laptop(db: None) -> Node:
    return start_node(LAPTOP)


def done_job(node: Node) -> Job:
    """A job of one part, which took two tries, and of which something was noted."""
    job, _ = with_parts(1)
    settle(taken_by(node).key, Retry("the model is busy"))
    make_due()
    settle(taken_by(node).key, Done({"text": "ten"}), served_by=SERVED)
    settle(taken_by(node).key, Done({}))
    record_event(job.pk, NOTE, "two minutes of silence")
    job.refresh_from_db()
    assert job.state == "done"
    return job


def ended(job: Job, ago: timedelta) -> None:
    Job.objects.filter(pk=job.pk).update(finished=Now() - ago)


def story_of(job: Job) -> list[str]:
    return list(JobEvent.objects.filter(job=job).order_by("id").values_list("name", flat=True))


def tries_of(job: Job) -> list[tuple[str, int, str]]:
    tries = Attempt.objects.filter(unit__job=job).order_by("id")
    return list(tries.values_list("unit__stage", "number", "outcome"))


def made_by(job: Job) -> Mapping[str, Any]:
    [shown] = job_progress(Job.objects.filter(pk=job.pk), with_shares=True)
    return {"shares": shown.shares, "sound": shown.audio_seconds, "units": units_of(job.pk)}


def test_after_its_time_the_log_and_earlier_tries_are_gone_and_all_that_it_made_is_there(laptop: Node) -> None:
    job = done_job(laptop)
    ended(job, YEAR * 2)
    before, results = made_by(job), list(Unit.objects.values_list("pk", "result", "state"))
    assert tries_of(job)[0] == ("part", 1, "retry") and "submitted" in story_of(job)
    assert shorten_stories(YEAR) == 1
    assert story_of(job) == [NOTE]
    assert tries_of(job) == [("part", 2, "done"), ("total", 1, "done")]
    assert made_by(job) == before
    assert list(Unit.objects.values_list("pk", "result", "state")) == results
    assert shorten_stories(YEAR) == 0


def test_who_did_a_piece_stays_also_where_another_had_begun_it_anew(laptop: Node) -> None:
    job = done_job(laptop)
    part = Unit.objects.get(job=job, stage="part")
    [won] = Attempt.objects.filter(unit=part, outcome="done")
    Attempt.objects.create(
        unit=part,
        number=won.number + 1,
        node_name="pi",
        instance=won.instance,
        outcome="superseded",
        lease_until=won.lease_until,
        started=won.started,
    )
    Unit.objects.filter(pk=part.pk).update(attempts_made=won.number + 1)
    ended(job, YEAR * 2)
    shorten_stories(YEAR)
    assert tries_of(job) == [("part", 2, "done"), ("total", 1, "done"), ("part", 3, "superseded")]


def test_what_ended_lately_or_has_not_ended_keeps_all_of_its_story(laptop: Node) -> None:
    lately = done_job(laptop)
    ended(lately, YEAR - timedelta(days=1))
    running, _ = with_parts(1)
    settle(taken_by(laptop).key, Retry("the model is busy"))
    Job.objects.filter(pk=running.pk).update(created=F("created") - 3 * YEAR)
    JobEvent.objects.update(at=F("at") - 3 * YEAR)
    before = [(story_of(job), tries_of(job)) for job in (lately, running)]
    assert shorten_stories(YEAR) == 0
    assert [(story_of(job), tries_of(job)) for job in (lately, running)] == before


def test_many_are_shortened_a_few_in_one_transaction(laptop: Node) -> None:
    jobs = [cancel_job(submitted().pk) for _ in range(5)]
    for job in jobs:
        ended(job, YEAR * 2)
    assert shorten_stories(YEAR, batch=2) == 5
    assert not JobEvent.objects.exists()


def test_a_job_that_is_tried_again_has_a_story_anew_which_is_kept_as_long(laptop: Node) -> None:
    job, _ = with_parts(1)
    settle(taken_by(laptop).key, Fail("no model"))
    ended(job, YEAR * 2)
    assert shorten_stories(YEAR) == 1
    retry_job(job.pk)
    for _ in range(2):
        settle(taken_by(laptop).key, Done({}), served_by=SERVED)
    told = story_of(job)
    assert told[-1] == "done"
    assert shorten_stories(YEAR) == 0
    Job.objects.filter(pk=job.pk).update(shortened=Now() - 3 * YEAR)
    ended(job, YEAR * 2)
    assert shorten_stories(YEAR) == 1
    assert story_of(job) == []


def test_its_page_says_that_the_story_was_shortened(laptop: Node, client: Client) -> None:
    job = done_job(laptop)
    client.force_login(person("ada"))
    assert "tries that came to nothing, were removed" not in client.get(f"/jobs/{job.pk}/").content.decode()
    ended(job, YEAR * 2)
    shorten_stories(YEAR)
    shown = client.get(f"/jobs/{job.pk}/").content.decode()
    assert "tries that came to nothing, were removed" in shown and "two minutes of silence" in shown


@pytest.mark.parametrize(("days", "told"), [("100", []), ("0", ["submitted", "cancelled"]), (None, [])])
def test_upkeep_on_the_hubs_machine_keeps_as_many_days_as_the_setting_says(days: str | None, told: list[str]) -> None:
    job = cancel_job(submitted().pk)
    ended(job, timedelta(days=400))
    blobs.establish_hub(environment().data_dir, "http://127.0.0.1:1")
    set_variables({"CLUSTERCORE_HISTORY_DAYS": days})
    try:
        tidy_ledger()
    finally:
        set_variables({"CLUSTERCORE_HISTORY_DAYS": None})
    assert story_of(job) == told


def test_elsewhere_upkeep_leaves_stories_alone(tmp_path: Path) -> None:
    blobs.establish_hub(tmp_path, "http://127.0.0.1:1")
    job = cancel_job(submitted().pk)
    ended(job, timedelta(days=4000))
    tidy_ledger()
    assert story_of(job) == ["submitted", "cancelled"]
