"""What happens at a time, and to whom it does not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from importlib import import_module

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from clustercore.jobs.adapters.clocks import read_clocks
from clustercore.jobs.domain.job_request import JobRequest
from clustercore.jobs.domain.new_unit import After, Join, NewUnit
from clustercore.jobs.domain.verdict import Done, Retry
from clustercore.jobs.models import Attempt, Job, JobEvent, Timer, Unit
from clustercore.jobs.services import timers
from clustercore.jobs.services.claim import Claimant, claim
from clustercore.jobs.services.control import pause_job, resume_job, retry_job
from clustercore.jobs.services.leases import reap
from clustercore.jobs.services.queueing import queue_units
from clustercore.jobs.services.settle import settle
from clustercore.jobs.services.submit import submit
from clustercore.jobs.services.sweep import look
from clustercore.jobs.services.timers import PAST_DEADLINE, run_due
from tests.fakes.jobs.panel import PANEL
from tests.integration.jobs.conftest import failing_for, first_of, taken

PAST = timedelta(seconds=1)


pytestmark = pytest.mark.usefixtures("panel")


def due() -> int:
    return run_due(read_clocks(), 20.0)


def planned(*units: NewUnit) -> Job:
    """A job whose plan is done, with these units."""
    job, _ = submit(None, JobRequest(kind="panel", title="in time?"), backlog_limit=1000)
    Unit.objects.filter(job=job, stage="plan").update(state="done")
    queue_units(PANEL, job.pk, units)
    return job


def asked(count: int) -> list[NewUnit]:
    return [NewUnit(stage="ask", ordinal=ordinal, deadline_seconds=60) for ordinal in range(count)]


def vote(ordinal: int, of: int, join: Join | None = None) -> NewUnit:
    after = [After(stage="ask", ordinal=number) for number in range(of)]
    return NewUnit(stage="vote", ordinal=ordinal, after=after, join=join or Join(), deadline_seconds=60)


def let_time_pass(job: Job) -> None:
    Unit.objects.filter(job=job, deadline__isnull=False).update(deadline=Now() - PAST)


def states(job: Job, stage: str) -> list[str]:
    return list(Unit.objects.filter(job=job, stage=stage).order_by("pk").values_list("state", flat=True))


def test_of_units_that_wait_for_each_other_and_are_overdue_together_each_ends_once(node: Claimant) -> None:
    job = planned(*asked(2), vote(0, of=2))
    let_time_pass(job)
    assert due() == 1
    assert (states(job, "ask"), states(job, "vote")) == (["overdue", "overdue"], ["overdue"])
    told = JobEvent.objects.filter(job=job, unit__isnull=False).values_list("name", "unit__stage")
    assert sorted(told) == [("failed", "conclude"), ("overdue", "ask"), ("overdue", "ask"), ("overdue", "vote")]
    job.refresh_from_db()
    assert (job.state, PAST_DEADLINE in job.error) == ("failed", True)


@pytest.mark.parametrize("count", [3, 30])
def test_however_many_are_overdue_together_they_end_in_as_many_statements(node: Claimant, count: int) -> None:
    job = planned(*asked(count), NewUnit(stage="ask", ordinal=99))
    let_time_pass(job)
    with CaptureQueriesContext(connection) as queries:
        due()
    assert states(job, "ask").count("overdue") == count
    assert len(queries) <= 20


@pytest.mark.parametrize("count", [3, 30])
def test_however_many_are_tried_again_it_takes_as_many_statements(node: Claimant, count: int) -> None:
    job = planned(*asked(count), *(vote(ordinal, of=3) for ordinal in range(count)))
    let_time_pass(job)
    due()
    with CaptureQueriesContext(connection) as queries:
        retry_job(job.pk)
    assert (set(states(job, "ask")), set(states(job, "vote"))) == ({"queued"}, {"blocked"})
    assert set(Unit.objects.filter(job=job).values_list("deadline", flat=True)) == {None}
    assert len(queries) <= 45


def test_a_unit_in_hand_at_its_deadline_goes_on_and_is_not_begun_again_after_it(node: Claimant) -> None:
    job = planned(*asked(2))
    first, second = taken(node), taken(node)
    let_time_pass(job)
    assert due() == 0
    settle(first.key, Done({}))
    settle(second.key, Retry("once more", delay_seconds=0.0))
    assert claim(node) is None
    due()
    assert states(job, "ask") == ["done", "overdue"]


def test_in_a_paused_job_nothing_is_overdue_until_it_goes_on_and_nothing_is_begun_late(node: Claimant) -> None:
    job = planned(*asked(1), NewUnit(stage="ask", ordinal=5))
    pause_job(job.pk)
    let_time_pass(job)
    assert (due(), states(job, "ask")) == (0, ["queued", "queued"])
    resume_job(job.pk)
    assert taken(node).ordinal == 5
    assert (due(), states(job, "ask")) == (1, ["overdue", "leased"])


def test_a_vote_of_a_paused_job_opens_and_waits_and_its_time_comes_when_the_job_goes_on(node: Claimant) -> None:
    job = planned(*asked(3), vote(0, of=3, join=Join(quorum=2)), vote(1, of=3, join=Join(until_seconds=60)))
    answers = [taken(node) for _ in range(2)]
    pause_job(job.pk)
    for answer in answers:
        settle(answer.key, Done({}))
    Unit.objects.filter(job=job, join_until__isnull=False).update(join_until=Now() - PAST)
    assert (due(), claim(node), states(job, "vote")) == (0, None, ["queued", "blocked"])
    resume_job(job.pk)
    assert (due(), states(job, "vote")) == (1, ["queued", "queued"])


def test_a_job_of_an_unknown_kind_keeps_no_other_from_its_time(node: Claimant) -> None:
    foreign, job = planned(*asked(1)), planned(*asked(1))
    Job.objects.filter(pk=foreign.pk).update(kind="of a later version")
    let_time_pass(foreign)
    let_time_pass(job)
    assert due() == 1
    assert (states(foreign, "ask"), states(job, "ask")) == (["queued"], ["overdue"])


def test_a_job_that_cannot_be_moved_on_keeps_none_behind_it_from_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    broken, job = planned(*asked(1)), planned(*asked(1))
    let_time_pass(broken)
    let_time_pass(job)
    monkeypatch.setattr(timers, "look_at", failing_for(broken))
    assert due() == 1
    assert (states(broken, "ask"), states(job, "ask")) == (["queued"], ["overdue"])


def test_whoever_ends_what_is_overdue_lets_no_turn_of_the_job_in_before_it_locks_units() -> None:
    job = planned(*asked(1))
    let_time_pass(job)
    with CaptureQueriesContext(connection) as queries:
        assert due() == 1
    assert first_of(queries, "pg_advisory_xact_lock") == first_of(queries, "FOR NO KEY UPDATE") + 1


def units_read(run: Callable[[], object]) -> int:
    """How many rows of units it reads."""
    rows = "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'jobs_unit'"
    with connection.cursor() as cursor:
        before, _, after = cursor.execute(rows).fetchone(), run(), cursor.execute(rows).fetchone()
    return int(after[0] - before[0])


def test_what_is_overdue_in_jobs_that_do_not_run_or_are_of_an_unknown_kind_is_not_read_again_and_again() -> None:
    paused, foreign = planned(*asked(50), vote(0, of=3, join=Join(until_seconds=60))), planned(*asked(50))
    pause_job(paused.pk)
    Job.objects.filter(pk=foreign.pk).update(kind="of a later version")
    for job in (paused, foreign):
        let_time_pass(job)
        Unit.objects.filter(job=job, join_until__isnull=False).update(join_until=Now() - PAST)
    planned(*asked(1))
    assert (units_read(lambda: look(1e9)), units_read(due)) == (0, 0)


def lose_the_lease(job: Job) -> None:
    Attempt.objects.update(lease_until=Now() - PAST)
    reap(read_clocks(), 20.0)


def pause_and_resume(job: Job) -> None:
    pause_job(job.pk)
    let_time_pass(job)
    resume_job(job.pk)


def retry_in_hand(job: Job) -> None:
    settle(Attempt.objects.get(outcome="live").key, Retry("once more"))


@pytest.mark.parametrize("change", [let_time_pass, lose_the_lease, retry_in_hand, pause_and_resume])
def test_however_a_unit_comes_to_wait_past_its_deadline_its_job_is_due(
    change: Callable[[Job], object], node: Claimant
) -> None:
    job = planned(*asked(2))
    taken(node)
    Unit.objects.filter(job=job, state="leased").update(deadline=Now() - PAST)
    assert due() == 0
    change(job)
    assert due() == 1
    assert "overdue" in states(job, "ask")


def test_what_is_in_hand_past_its_deadline_is_looked_at_every_few_seconds_only(node: Claimant) -> None:
    job = planned(*asked(1))
    taken(node)
    let_time_pass(job)
    Timer.objects.update(due_at=Now() - PAST)
    assert (due(), due()) == (1, 0)
    assert Timer.objects.filter(job=job, due_at__gt=Now()).exists()


def test_a_job_with_nothing_to_come_at_a_time_has_no_timer(node: Claimant) -> None:
    job = planned(*asked(1), NewUnit(stage="ask", ordinal=9))
    let_time_pass(job)
    due()
    assert not Timer.objects.exists()


def test_the_timers_of_a_ledger_of_before_are_those_that_triggers_would_have_set() -> None:
    jobs = [planned(*asked(2), vote(0, of=2, join=Join(until_seconds=30))), planned(*asked(1))]
    pause_job(planned(*asked(1)).pk)
    kept = list(Timer.objects.order_by("job").values_list("job", "kind", "due_at"))
    Timer.objects.all().delete()
    with connection.cursor() as cursor:
        cursor.execute(import_module("clustercore.jobs.migrations.0020_overdue").FILLED)
    assert [job for job, _, _ in kept] == [job.pk for job in jobs]
    assert list(Timer.objects.order_by("job").values_list("job", "kind", "due_at")) == kept
