"""How many jobs are in each state: kept by the database, whoever changes a job, and the same as counting them."""

from __future__ import annotations

from importlib import import_module

import pytest
from django.db import connection
from django.db.models import Count, Sum

from clustercore.jobs.models import Counter, Job, JobCount
from clustercore.jobs.selectors.queueing import jobs_by_state
from clustercore.jobs.selectors.totals import counters
from clustercore.jobs.selectors.visibility import visible_counts, visible_jobs
from clustercore.jobs.services.control import cancel_job, edit_job, pause_job, remove_job
from tests.integration.jobs.conftest import held_open, submitted
from tests.people import identity, person

BY = ("owner", "shared", "state")


def counted() -> set[tuple[object, ...]]:
    return set(Job.objects.order_by().values_list(*BY).annotate(n=Count("id")))


def kept() -> set[tuple[object, ...]]:
    return set(JobCount.objects.order_by().values_list(*BY).annotate(n=Sum("jobs")).exclude(n=0))


def test_they_follow_jobs_from_the_submission_to_the_removal() -> None:
    jobs = [submitted(owner_id=person(name).pk) for name in ("otto", "otto", "vera")]
    submitted()
    assert kept() == counted() and len(kept()) == 3
    pause_job(jobs[0].pk)
    edit_job(jobs[1].pk, shared=True)
    assert kept() == counted() and len(kept()) == 4
    remove_job(cancel_job(jobs[2].pk).pk)
    assert kept() == counted() and len(kept()) == 3


def test_one_statement_may_change_many() -> None:
    otto = person("otto")
    before = submitted(owner_id=otto.pk)
    Job.objects.bulk_create(
        Job(kind="sums", title=str(number), owner=otto, created=before.created) for number in range(300)
    )
    assert kept() == counted() == {(otto.pk, False, "running", 301)}
    assert JobCount.objects.count() == 1
    Job.objects.filter(pk__gt=before.pk).update(state="done")
    assert kept() == counted()
    otto.delete()
    assert kept() == counted() == {(None, False, "running", 1), (None, False, "done", 300)}


def test_everybody_is_told_of_the_jobs_that_they_may_see() -> None:
    submitted(owner_id=person("otto").pk)
    edit_job(submitted(owner_id=person("vera").pk).pk, shared=True)
    cancel_job(submitted().pk)
    for name in ("ada", "otto", "vera", "olga"):
        seen = list(visible_jobs(identity(name)).values_list("state", flat=True))
        told = jobs_by_state(visible_counts(identity(name)))
        assert told == dict.fromkeys(told, 0) | {state: seen.count(state) for state in seen}, name


def test_the_migration_counts_those_that_are_there() -> None:
    submitted(owner_id=person("otto").pk)
    cancel_job(submitted().pk)
    history = import_module("clustercore.jobs.migrations.0018_history")
    with connection.cursor() as cursor:
        cursor.execute(history.FORGET_COUNTS)
        JobCount.objects.all().delete()
        cursor.execute(history.KEEP_COUNTS)
    assert kept() == counted() and len(kept()) == 2


@pytest.mark.django_db(transaction=True)
def test_a_transaction_that_lasts_keeps_no_other_job_waiting() -> None:
    submitted()
    with held_open(lambda: Job.objects.update(state="paused")):
        Job.objects.create(kind="sums", title="meanwhile", created=Job.objects.get().created)
    assert kept() == counted() == {(None, False, "paused", 1), (None, False, "running", 1)}


@pytest.mark.django_db(transaction=True)
def test_submissions_of_one_kind_do_not_wait_for_each_other_and_all_are_counted() -> None:
    submitted()
    with held_open(submitted):
        submitted()
    submitted()
    assert counters()["jobs.submitted/sums"] == 4
    assert Counter.objects.filter(name__startswith="jobs.submitted").count() <= 2
