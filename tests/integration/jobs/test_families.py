"""Jobs that are done for others, jobs that are tried again while units wait, and what goes with a job."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from clustercore.jobs.domain.job_request import JobRequest
from clustercore.jobs.domain.new_unit import After, NewUnit
from clustercore.jobs.domain.verdict import Done, Fail
from clustercore.jobs.models import Counter, Job, Unit, UnitAfter
from clustercore.jobs.services import control, turn_locks
from clustercore.jobs.services.claim import Claimant, claim
from clustercore.jobs.services.control import cancel_job, remove_job, requeue_unit
from clustercore.jobs.services.queueing import queue_units
from clustercore.jobs.services.settle import settle
from clustercore.jobs.services.submit import ParentCancelled, submit
from tests.fakes.jobs.panel import PANEL, operation
from tests.integration.jobs.conftest import taken

pytestmark = pytest.mark.usefixtures("panel")


def submitted(parent: Job | None = None) -> Job:
    request = JobRequest(kind="panel", title="a part", parent_id=parent.pk if parent else None)
    job, _ = submit(None, request, backlog_limit=10_000)
    return job


def states(*jobs: Job) -> list[str]:
    return [Job.objects.get(pk=job.pk).state for job in jobs]


def unit(job: Job, stage: str, ordinal: int = 0) -> Unit:
    return Unit.objects.get(job=job, stage=stage, ordinal=ordinal)


def test_a_job_that_is_its_own_ancestor_is_cancelled_once() -> None:
    first = submitted()
    second = submitted(first)
    Job.objects.filter(pk=first.pk).update(parent=second)
    cancel_job(first.pk)
    assert states(first, second) == ["cancelled", "cancelled"]
    itself = submitted()
    Job.objects.filter(pk=itself.pk).update(parent=itself)
    cancel_job(itself.pk)
    assert states(itself) == ["cancelled"]


def test_cancelling_reaches_the_last_of_a_long_line() -> None:
    line = [submitted()]
    while len(line) < 30:
        line.append(submitted(line[-1]))
    cancel_job(line[0].pk)
    assert set(states(*line)) == {"cancelled"}


def test_cancelling_locks_the_whole_tree_upwards_before_it_changes_any_of_it() -> None:
    first = submitted()
    second, third = submitted(first), submitted(first)
    fourth, fifth = submitted(second), submitted(third)
    with CaptureQueriesContext(connection) as queries:
        cancel_job(first.pk)
    sent = [query["sql"] for query in queries]
    locks = [at for at, sql in enumerate(sent) if "jobs_job" in sql and "FOR NO KEY UPDATE" in sql]
    tree = (first, second, third, fourth, fifth)
    for at, job in zip(locks, tree, strict=True):
        assert f'"jobs_job"."id" = {job.pk}' in sent[at] and "pg_advisory_xact_lock" in sent[at + 1]
    assert locks[-1] < min(at for at, sql in enumerate(sent) if sql.startswith("UPDATE"))
    assert set(states(*tree)) == {"cancelled"}


def test_what_was_cancelled_together_is_counted_in_the_end_and_at_once() -> None:
    parent = submitted()
    submitted(parent), submitted(parent)
    with CaptureQueriesContext(connection) as queries:
        cancel_job(parent.pk)
    counted = [at for at, query in enumerate(queries) if "jobs_counter" in query["sql"]]
    changed = [at for at, query in enumerate(queries) if query["sql"].startswith("UPDATE")]
    assert len(counted) == 1 and counted > changed[-1:]
    assert Counter.objects.get(name="jobs.finished/panel/cancelled").value == 3


def test_a_child_that_ends_by_itself_meanwhile_keeps_no_parent_from_being_cancelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parent = submitted()
    slow, quick = submitted(parent), submitted(parent)
    lock = turn_locks.alone_in

    def lock_and_meanwhile(job_id: int) -> None:
        lock(job_id)
        if job_id == slow.pk:
            Job.objects.filter(pk=quick.pk).update(state="done")

    monkeypatch.setattr(control, "alone_in", lock_and_meanwhile)
    cancel_job(parent.pk)
    assert states(parent, quick, slow) == ["cancelled", "done", "cancelled"]


def test_nothing_more_is_begun_for_a_job_that_was_cancelled() -> None:
    parent = submitted()
    cancel_job(parent.pk)
    with pytest.raises(ParentCancelled, match=f"job {parent.pk}, for which this one would be done, was cancelled"):
        submitted(parent)
    assert not Job.objects.filter(parent=parent).exists()


def test_a_stage_that_was_over_is_waited_for_again_when_one_of_it_is_tried_again(node: Claimant) -> None:
    job = submitted()
    both = NewUnit(stage="vote", ordinal=0, after=[After(stage="ask", group="page"), After(stage="ask", ordinal=9)])
    pages = [NewUnit(stage="ask", ordinal=ordinal, group="page") for ordinal in range(2)]
    settle(taken(node).key, Done({}, then=[*pages, NewUnit(stage="ask", ordinal=9, group="other"), both]))
    settle(taken(node).key, Fail("gone"))
    settle(taken(node).key, Done({}))
    assert (unit(job, "vote").open_inputs, unit(job, "vote").done_inputs) == (1, 1)
    requeue_unit(unit(job, "ask").pk)
    assert (unit(job, "vote").open_inputs, unit(job, "vote").done_inputs) == (2, 0)
    settle(taken(node).key, Done({}))
    assert unit(job, "vote").state == "blocked"
    settle(taken(node).key, Done({}))
    assert unit(job, "vote").state == "queued"


@pytest.mark.parametrize("vote_is", ["queued", "leased", "done"])
def test_a_vote_that_has_opened_does_not_wait_for_what_is_tried_again(node: Claimant, vote_is: str) -> None:
    job = submitted()
    settle(taken(node).key, Done({}, then=operation(0)))
    settle(taken(node).key, Fail("gone"))
    for _ in range(2):
        settle(taken(node).key, Done({}))
    vote = taken(node) if vote_is != "queued" else None
    if vote is not None and vote_is == "done":
        settle(vote.key, Done({"by": 2}))
    requeue_unit(unit(job, "ask").pk)
    assert unit(job, "vote").state == vote_is
    for verdict in (Done({}), Done({})):
        answers = Unit.objects.filter(job=job, stage="ask", state="queued")
        found = claim(node) if answers.exists() else None
        if found is not None:
            settle(found.key, verdict)
    assert Unit.objects.filter(job=job, stage="vote").count() == 1


def test_the_edges_of_a_removed_job_go_with_it_and_others_stay() -> None:
    gone, stays = submitted(), submitted()
    for job in (gone, stays):
        queue_units(PANEL, job.pk, [*operation(0), *operation(1)])
    edges = UnitAfter.objects.filter(job=stays).count()
    child = submitted(gone)
    Job.objects.filter(pk=gone.pk).update(state="done")
    remove_job(gone.pk)
    assert (UnitAfter.objects.count() - edges, Unit.objects.filter(job=stays).count()) == (1, 12)
    assert Job.objects.get(pk=child.pk).parent is None
