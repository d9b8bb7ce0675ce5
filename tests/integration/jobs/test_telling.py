"""Whoever waits for a job is told of its changes, by the real Redis; without it they look, and say so once."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any

import pytest
import redis
from django.conf import LazySettings
from django.db import transaction
from django.db.models.functions import Now

from clustercore.jobs.adapters.clocks import read_clocks
from clustercore.jobs.domain.verdict import Ask, Done, Fail, HandBack
from clustercore.jobs.models import Attempt, Job, Question, Unit
from clustercore.jobs.services import telling
from clustercore.jobs.services.advance import advance
from clustercore.jobs.services.answering import answer_question
from clustercore.jobs.services.claim import Claimant
from clustercore.jobs.services.control import (
    cancel_job,
    edit_job,
    pause_job,
    release_units,
    remove_job,
    resume_job,
    retry_job,
)
from clustercore.jobs.services.explaining import explain_waiting_jobs
from clustercore.jobs.services.leases import end_left_behind, extend_leases, reap
from clustercore.jobs.services.settle import settle
from clustercore.live.adapters import changes as adapter
from clustercore.live.adapters.changes import ChangeFeed, Publisher, channel_for
from clustercore.live.adapters.notices import changes_of, notices_here
from clustercore.live.domain.changes import Changes, changes_in
from clustercore.nodes.models import Node
from tests.fakes.nodes.polling import until
from tests.integration.jobs.conftest import submitted, taken, with_parts

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]
NOBODY_ANSWERS = "redis://127.0.0.1:1/0"


@pytest.fixture(autouse=True)
def own_client(redis_client: redis.Redis) -> Iterator[None]:
    """The process's client is made anew for each test, as some of them have another Redis."""
    adapter._client.cache_clear()
    yield
    adapter._client.cache_clear()


@pytest.fixture
def no_redis(settings: LazySettings) -> None:
    settings.REDIS_URL = NOBODY_ANSWERS


def all_told() -> None:
    until(lambda: telling._TELLER.is_at_rest)


def changed(job: Job) -> int:
    return Job.objects.values_list("changed", flat=True).get(pk=job.pk)


def changed_since(job: Job, before: int) -> bool:
    return changed(job) > before


def test_each_change_of_a_job_and_its_end_are_published(node: Claimant, redis_client: Any) -> None:
    job, _ = with_parts(1)
    all_told()
    with redis_client.pubsub() as listening:
        listening.subscribe(channel_for(redis_client))
        assert listening.get_message(timeout=5)["type"] == "subscribe"
        claimed = taken(node)
        assert heard(listening) == {job.pk: False}
        extend_leases(node.instance, {claimed.key: 0.5}, 20.0)
        assert heard(listening) == {job.pk: False}
        cancel_job(job.pk)
        assert heard(listening) == {job.pk: True}
        remove_job(job.pk)
        assert heard(listening) == {job.pk: True}


def heard(listening: Any) -> dict[int, bool]:
    message = listening.get_message(timeout=10)
    assert message is not None
    return dict(changes_in(message["data"].decode()))


def _hold(job: Job) -> int:
    return Unit.objects.filter(job=job, stage="part").update(state="held", hold_reason="a person is asked")


def _expire() -> int | None:
    Attempt.objects.update(lease_until=Now())
    return reap(read_clocks(), 20.0)


def _left_behind(node: Claimant) -> int:
    Attempt.objects.update(instance="00000000-0000-0000-0000-000000000001")
    return end_left_behind(node.node_name, node.boot_id, node.instance, ())


def _nobody_is_there() -> None:
    Node.objects.update(online=False)
    explain_waiting_jobs()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda job, _node: pause_job(job.pk), id="pause"),
        pytest.param(lambda job, _node: (pause_job(job.pk), resume_job(job.pk)), id="resume"),
        pytest.param(lambda job, _node: edit_job(job.pk, title="another"), id="edit"),
        pytest.param(lambda job, _node: cancel_job(job.pk), id="cancel"),
        pytest.param(lambda job, _node: (cancel_job(job.pk), retry_job(job.pk)), id="retry"),
        pytest.param(lambda job, _node: advance(job.pk), id="advance"),
        pytest.param(lambda job, _node: (_hold(job), release_units(job.pk, ["part"])), id="release"),
        pytest.param(lambda _job, node: taken(node), id="claim"),
        pytest.param(lambda _job, node: settle(taken(node).key, Done({})), id="done"),
        pytest.param(lambda _job, node: settle(taken(node).key, Fail("broken")), id="fail"),
        pytest.param(lambda _job, node: settle(taken(node).key, HandBack("leaving")), id="hand back"),
        pytest.param(lambda _job, node: settle(taken(node).key, Ask("May I?", ["yes"])), id="ask"),
        pytest.param(lambda _job, node: (taken(node), _expire()), id="lost lease"),
        pytest.param(lambda _job, node: (taken(node), _left_behind(node)), id="left behind"),
        pytest.param(lambda _job, _node: _nobody_is_there(), id="why it waits"),
    ],
)
def test_whatever_people_see_of_a_job_is_told(change: Callable[[Job, Claimant], Any], node: Claimant) -> None:
    job, _ = with_parts(2)
    all_told()
    before = changed(job)
    change(job, node)
    until(lambda: changed(job) > before)


def test_an_answer_is_told(node: Claimant) -> None:
    job, _ = with_parts(1)
    settle(taken(node).key, Ask("May I?", ["yes"]))
    all_told()
    before = changed(job)
    answer_question(Question.objects.get().pk, "yes", "otto")
    until(lambda: changed(job) > before)


def test_what_was_rolled_back_is_not_told() -> None:
    job = submitted()
    all_told()
    before = changed(job)
    with transaction.atomic():
        pause_job(job.pk)
        transaction.set_rollback(True)
    assert telling._TELLER.is_at_rest
    assert changed(job) == before


def test_a_job_that_is_locked_is_told_as_soon_as_it_is_free() -> None:
    job, other = submitted(), submitted()
    all_told()
    before, others = changed(job), changed(other)
    with transaction.atomic():
        Job.objects.select_for_update().get(pk=job.pk)
        for one in (job, other):
            telling._TELLER.add(one.pk)
        until(lambda: changed(other) > others)
        assert changed(job) == before
    until(lambda: changed(job) > before)


def test_without_redis_the_ledger_has_the_change_and_it_is_said_once(
    no_redis: None, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "_PUBLISHER", Publisher())
    monkeypatch.setattr(adapter, "_AWAY_SECONDS", 0.0)
    job = submitted()
    for _ in range(3):
        all_told()
        has_changed = partial(changed_since, job, changed(job))
        edit_job(job.pk, title="another")
        until(has_changed)
    assert len([record for record in caplog.records if "Redis is away" in record.message]) == 1


def later(action: Callable[[], object]) -> threading.Timer:
    """Does it in a moment, in a thread."""
    timer = threading.Timer(0.2, action)
    timer.start()
    return timer


def test_a_command_that_waits_goes_on_when_its_job_changes_and_not_for_another() -> None:
    job, other = submitted(), submitted()
    all_told()
    with ChangeFeed([job.pk]) as feed:
        assert feed.is_told
        began = time.monotonic()
        telling._TELLER.add(other.pk)
        feed.wait(0.3)
        assert time.monotonic() - began >= 0.3
        acting = later(lambda: telling._TELLER.add(job.pk))
        feed.wait(20.0)
        assert time.monotonic() - began < 10.0
        acting.join()


def test_changes_that_follow_fast_are_one_for_a_command_and_the_end_is_told_at_once() -> None:
    job = submitted()
    all_told()
    with ChangeFeed([job.pk]) as feed:
        feed.wait(0.0)
        publisher = Publisher()
        began = time.monotonic()
        for _ in range(5):
            publisher.publish({job.pk: False})
        feed.wait(20.0)
        assert adapter.BETWEEN_SECONDS * 0.9 <= time.monotonic() - began < 10.0
        began = time.monotonic()
        publisher.publish({job.pk: True})
        feed.wait(20.0)
        assert time.monotonic() - began < adapter.BETWEEN_SECONDS


def test_a_command_waits_its_time_where_redis_is_away_and_is_told_again_once_it_is_back(
    settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "_AWAY_SECONDS", 0.0)
    is_there, settings.REDIS_URL = settings.REDIS_URL, NOBODY_ANSWERS
    with ChangeFeed([7]) as feed:
        assert not feed.is_told
        began = time.monotonic()
        feed.wait(0.2)
        assert time.monotonic() - began >= 0.2
        settings.REDIS_URL = is_there
        adapter._client.cache_clear()
        feed.wait(20.0)
        assert feed.is_told


def play(scene: Callable[[], Awaitable[None]]) -> None:
    async def within_ten_seconds() -> None:
        async with asyncio.timeout(10):
            await scene()

    asyncio.run(within_ten_seconds())


async def subscribed() -> None:
    while not notices_here().are_told:
        await asyncio.sleep(0.01)


def test_many_wait_in_one_process_by_one_subscription(redis_client: redis.Redis) -> None:
    publisher = Publisher()

    async def scene() -> None:
        clock = asyncio.get_running_loop().time

        async def wait_for(job_id: int) -> float:
            with changes_of(job_id) as changes:
                await subscribed()
                await changes.within(0.0)
                await changes.within(8.0)
                return clock()

        waiting = [asyncio.create_task(wait_for(job_id)) for job_id in (7, 7, 9)]
        await subscribed()
        await asyncio.sleep(0.2)
        assert redis_client.pubsub_numsub(channel_for(redis_client))[0][1] == 1
        told = clock()
        await asyncio.to_thread(publisher.publish, {7: False})
        assert max(await asyncio.gather(*waiting[:2])) - told < 5.0
        assert not waiting[2].done()
        waiting[2].cancel()

    play(scene)


def test_who_waits_for_the_end_is_not_woken_by_what_comes_before_it() -> None:
    publisher = Publisher()

    async def scene() -> None:
        clock = asyncio.get_running_loop().time
        with changes_of(7, only_end=True) as changes:
            await subscribed()
            await changes.within(0.0)
            began = clock()
            await asyncio.to_thread(publisher.publish, {7: False})
            await changes.within(0.3)
            assert clock() - began >= 0.3
            await asyncio.to_thread(publisher.publish, {7: True})
            await changes.within(9.0)
            assert clock() - began < 8.0

    play(scene)


def test_a_broken_subscription_is_made_anew_and_wakes_who_waits(redis_client: redis.Redis) -> None:
    async def scene() -> None:
        with changes_of(7, only_end=True) as changes:
            await subscribed()
            await changes.within(0.0)
            await asyncio.to_thread(redis_client.client_kill_filter, _type="pubsub")
            await changes.within(9.0)
            assert changes.is_told

    play(scene)


def test_where_redis_is_away_nobody_relies_on_being_told(no_redis: None, caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        clock = asyncio.get_running_loop().time
        with changes_of(7) as changes:
            began = clock()
            await changes.within(1.0)
            assert clock() - began >= 1.0
            assert not changes.is_told

    play(scene)
    assert len([record for record in caplog.records if "Redis is away" in record.message]) == 1


def test_one_who_fails_when_told_keeps_nobody_else_from_being_told_and_is_not_called_an_absence_of_redis(
    redis_client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    publisher = Publisher()
    heard: list[Changes | None] = []

    def fail(_changes: Changes | None) -> None:
        raise ValueError("a bug")

    async def scene() -> None:
        notices = notices_here()
        notices.listen(fail)
        notices.listen(heard.append)
        await subscribed()
        await asyncio.to_thread(publisher.publish, {7: False})
        while {7: False} not in heard:
            await asyncio.sleep(0.01)
        notices.leave(fail)
        notices.leave(heard.append)

    play(scene)
    assert caplog.text.count("Telling one who waits for a job failed") == 1
    assert "Redis is away" not in caplog.text


def test_the_subscription_ends_a_while_after_the_last_who_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clustercore.live.adapters.notices.LINGER_SECONDS", 0.05)

    async def scene() -> None:
        notices = notices_here()
        for _ in range(2):
            with changes_of(7):
                await subscribed()
            while notices.is_running:
                await asyncio.sleep(0.01)
            assert not notices.are_told

    play(scene)
