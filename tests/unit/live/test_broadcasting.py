"""The broadcaster: it looks only while somebody follows, shows a change once, and never queues."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from django.db import OperationalError

from clustercore.live.adapters.notices import Notices
from clustercore.live.services import broadcasting, pacing
from clustercore.live.services.broadcasting import AWAY, Broadcaster, broadcaster_here
from clustercore.live.services.polling import Key
from clustercore.live.services.subscriptions import Subscription
from tests.fakes.live.topics import Written


@pytest.fixture(autouse=True)
def subscription(monkeypatch: pytest.MonkeyPatch) -> Notices:
    """Tells nothing by itself, whether there is a Redis or not."""
    found = Notices()
    monkeypatch.setattr(found, "listen", lambda _listener: None)
    monkeypatch.setattr(broadcasting, "notices_here", lambda: found)
    return found


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(broadcasting, "AWAY_SECONDS", 0.02)
    monkeypatch.setattr(pacing, "SHORTEST_PAUSE_SECONDS", 0.01)


def within_ten_seconds(scene: Callable[[], Awaitable[None]]) -> None:
    async def play() -> None:
        async with asyncio.timeout(10):
            await scene()

    asyncio.run(play())


def key_of(written: Written, key: str = "a", name: str = "written") -> Key:
    return Key(written.topic(name), key, f"{name}:{key}")


def subscription_of(*keys: Key, pages: bool = True) -> Subscription:
    subscription = Subscription(broadcaster_here(), pages=pages)
    subscription.follow(keys)
    return subscription


async def message(subscription: Subscription) -> dict[str, Any]:
    [(key, watched, known)] = await subscription.changes()
    body: dict[str, Any] = json.loads(watched.page_message(key.address, known))
    return body


async def looked_again(written: Written) -> None:
    """Returns once a look that began after the call has been told."""
    before = written.looks
    while written.looks < before + 2:
        await asyncio.sleep(0.005)


def test_the_whole_state_comes_first_and_then_only_what_changed() -> None:
    written = Written(a={"done": 1, "total": 4})

    async def scene() -> None:
        subscription = subscription_of(key_of(written))
        first = await message(subscription)
        written.facts["a"] = {"done": 2, "total": 4}
        second = await message(subscription)
        subscription.close()
        assert first["html"] == {"a-done": "<p>1</p>", "a-total": "<p>4</p>"}
        assert second["html"] == {"a-done": "<p>2</p>"}
        assert second["version"] > first["version"]

    within_ten_seconds(scene)


def test_a_change_is_rendered_once_for_all_who_follow() -> None:
    written = Written(a={"done": 1})

    async def scene() -> None:
        subscriptions = [subscription_of(key_of(written)) for _ in range(50)]
        for subscription in subscriptions:
            await subscription.changes()
        rendered, looks = written.rendered, written.looks
        written.facts["a"] = {"done": 2}
        texts = []
        for subscription in subscriptions:
            [(key, watched, known)] = await subscription.changes()
            texts.append(watched.page_message(key.address, known))
            subscription.close()
        assert (rendered, written.rendered) == (1, 2)
        assert looks <= 3
        assert len({id(text) for text in texts}) == 1

    within_ten_seconds(scene)


def test_nothing_is_rendered_or_told_while_nothing_changes() -> None:
    written = Written(a={"done": 1})

    async def scene() -> None:
        subscription = subscription_of(key_of(written))
        await subscription.changes()
        await looked_again(written)
        waiting = asyncio.ensure_future(subscription.changes())
        await looked_again(written)
        assert not waiting.done()
        waiting.cancel()
        subscription.close()
        assert written.rendered == 1

    within_ten_seconds(scene)


def test_a_slow_subscription_gets_the_newest_state_and_nothing_piles_up() -> None:
    written = Written(a={"done": 0}, b={"done": 0})

    async def scene() -> None:
        slow = subscription_of(key_of(written, "a"), key_of(written, "b"))
        await looked_again(written)
        for step in range(1, 20):
            written.facts["a"] = {"done": step}
            await looked_again(written)
        assert len(slow._changed) == 2
        news = await slow.changes()
        slow.close()
        assert [watched.facts for _, watched, _ in news] == [{"done": 19}, {"done": 0}]

    within_ten_seconds(scene)


def test_watching_ends_with_the_last_subscription_and_begins_again_with_the_next() -> None:
    written = Written(a={"done": 1})

    async def scene() -> None:
        broadcaster = broadcaster_here()
        for _ in range(2):
            subscription = subscription_of(key_of(written))
            await subscription.changes()
            assert broadcaster.is_running
            subscription.close()
            while broadcaster.is_running:
                await asyncio.sleep(0.005)
            assert broadcaster.states == {}
            looks = written.looks
            await asyncio.sleep(0.1)
            assert written.looks == looks

    within_ten_seconds(scene)


def test_no_thread_is_left_when_the_event_loop_ends() -> None:
    written = Written(a={"done": 1})

    async def scene() -> None:
        subscription = subscription_of(key_of(written))
        await subscription.changes()
        assert threading.get_ident() not in written.threads

    before = set(threading.enumerate())
    within_ten_seconds(scene)
    assert set(threading.enumerate()) - before == set()


def test_each_event_loop_has_a_broadcaster_of_its_own() -> None:
    seen: list[Broadcaster] = []

    async def scene() -> None:
        assert broadcaster_here() is broadcaster_here()
        seen.append(broadcaster_here())

    within_ten_seconds(scene)
    within_ten_seconds(scene)
    assert seen[0] is not seen[1]


def test_subscriptions_are_told_when_the_ledger_is_away_and_when_it_is_back() -> None:
    written = Written(a={"done": 1})

    async def scene() -> None:
        subscription = subscription_of(key_of(written))
        await subscription.changes()
        written.error = OperationalError("connection refused")
        assert await subscription.changes() == []
        assert subscription.take_notice() == AWAY
        late = subscription_of(key_of(written))
        await late.changes()
        while late.take_notice() != AWAY:
            await late.changes()
        written.error, written.facts["a"] = None, {"done": 2}
        told: list[Any] = []
        while {"done": 2} not in told:
            told += [watched.facts for _, watched, _ in await subscription.changes()]
        assert subscription.take_notice() == ""
        subscription.close()
        late.close()

    within_ten_seconds(scene)


def test_a_look_that_hangs_is_told_before_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broadcasting, "SILENCE_SECONDS", 0.05)
    written = Written(a={"done": 1})
    answers = threading.Event()

    async def scene() -> None:
        subscription = subscription_of(key_of(written))
        await subscription.changes()
        written.while_loading = lambda: bool(answers.wait(8)) or None  # type: ignore[assignment]
        await subscription.changes()
        assert subscription.take_notice() == AWAY
        answers.set()
        await subscription.changes()
        assert subscription.take_notice() == ""
        subscription.close()

    within_ten_seconds(scene)


def test_a_topic_that_cannot_be_shown_does_not_silence_the_others(caplog: pytest.LogCaptureFixture) -> None:
    broken, sound = Written(a={}), Written(a={"done": 1})
    broken.error = TypeError("a mistake in a template")

    async def scene() -> None:
        subscription = subscription_of(key_of(broken, name="broken"), key_of(sound, name="sound"))
        [(key, _, _)] = await subscription.changes()
        assert key.address == "sound:a"
        await looked_again(sound)
        subscription.close()

    within_ten_seconds(scene)
    assert len([record for record in caplog.records if "broken" in record.message]) == 1


def test_what_is_gone_is_told_and_known_to_who_comes_later() -> None:
    written = Written(a={"done": 1})

    async def scene() -> None:
        subscription = subscription_of(key_of(written))
        await subscription.changes()
        del written.facts["a"]
        body = await message(subscription)
        late = subscription_of(key_of(written))
        assert body["gone"] is True and body["html"] == {}
        assert (await message(late))["gone"] is True
        never = subscription_of(key_of(written, "never-there"))
        assert (await message(never))["gone"] is True
        for one in (subscription, late, never):
            one.close()

    within_ten_seconds(scene)


def test_a_page_that_joins_a_program_gets_its_parts() -> None:
    written = Written(a={"done": 1})

    async def scene() -> None:
        program = subscription_of(key_of(written), pages=False)
        [(_, watched, _)] = await program.changes()
        assert (watched.state, written.rendered) == ({"done": 1}, 0)
        page = subscription_of(key_of(written))
        assert (await message(page))["html"] == {"a-done": "<p>1</p>"}
        program.close()
        page.close()

    within_ten_seconds(scene)


def test_a_program_that_joins_a_page_gets_the_state_that_nobody_had_asked_for() -> None:
    written = Written(a={"done": 1})

    async def scene() -> None:
        page = subscription_of(key_of(written))
        [(_, watched, _)] = await page.changes()
        assert watched.state is None
        program = subscription_of(key_of(written), pages=False)
        [(_, watched, _)] = await program.changes()
        assert watched.state == {"done": 1}
        program.close()
        page.close()

    within_ten_seconds(scene)


def test_another_list_replaces_the_first() -> None:
    written = Written(a={"done": 1}, b={"done": 2})

    async def scene() -> None:
        subscription = subscription_of(key_of(written, "a"))
        await subscription.changes()
        subscription.follow([key_of(written, "b")])
        assert (await message(subscription))["topic"] == "written:b"
        written.facts = {"a": {"done": 3}, "b": {"done": 4}}
        assert (await message(subscription))["topic"] == "written:b"
        assert [key.key for key in broadcaster_here().states] == ["b"]
        subscription.close()

    within_ten_seconds(scene)


def test_a_costly_part_is_made_seldom_and_its_last_change_is_not_left_out() -> None:
    written = Written(a={"done": 0, "costly": 0})
    written.every = {"costly": 0.3}

    async def scene() -> None:
        subscription = subscription_of(key_of(written))
        await subscription.changes()
        for step in range(1, 4):
            written.facts["a"] = {"done": step, "costly": step}
            shown = await message(subscription)
            assert shown["html"] == {"a-done": f"<p>{step}</p>"}
        assert (await message(subscription))["html"] == {"a-costly": "<p>3</p>"}
        assert written.rendered == 2 + 3 + 1
        subscription.close()

    within_ten_seconds(scene)


def told_of(written: Written, name: str = "written") -> Key:
    """A key whose topic is told of job 7."""
    topic = replace(written.topic(name), concerns=lambda _key, jobs: 7 in jobs)
    return Key(topic, "a", f"{name}:a")


def test_what_is_told_is_seen_long_before_the_next_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "LOOK_SECONDS", 60.0)
    monkeypatch.setattr(pacing, "PAUSE_PER_LOOK", 0)
    written = Written(a={"done": 1})

    async def scene() -> None:
        subscription = subscription_of(told_of(written))
        await subscription.changes()
        for done in range(2, 6):
            written.facts["a"] = {"done": done}
            broadcaster_here().hear({7: False})
            assert (await message(subscription))["html"] == {"a-done": f"<p>{done}</p>"}
        written.facts["a"] = {"done": 9}
        broadcaster_here().hear(None)
        assert (await message(subscription))["html"] == {"a-done": "<p>9</p>"}
        subscription.close()

    within_ten_seconds(scene)


def test_a_change_of_what_nobody_follows_causes_no_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "LOOK_SECONDS", 60.0)
    written, deaf = Written(a={"done": 1}), Written(a={"done": 1})

    async def scene() -> None:
        subscription = subscription_of(told_of(written), key_of(deaf, name="deaf"))
        await subscription.changes()
        looks = written.looks
        broadcaster_here().hear({8: True})
        await asyncio.sleep(0.2)
        assert written.looks == looks
        subscription.close()

    within_ten_seconds(scene)


def test_a_flood_of_changes_leaves_the_ledger_some_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "LOOK_SECONDS", 0.25)
    written = Written(a={"done": 1})
    written.while_loading = lambda: time.sleep(0.05)

    async def scene() -> None:
        clock = asyncio.get_running_loop().time
        subscription = subscription_of(told_of(written))
        await subscription.changes()
        looks, until = written.looks, clock() + 2.0
        while clock() < until:
            broadcaster_here().hear({7: False})
            await asyncio.sleep(0.005)
        assert 2 <= written.looks - looks <= 2.0 / (4 * 0.05) + 1
        subscription.close()

    within_ten_seconds(scene)


def test_an_end_is_looked_at_without_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "LOOK_SECONDS", 60.0)
    monkeypatch.setattr(pacing, "PAUSE_PER_LOOK", 10_000)
    written = Written(a={"done": 1})
    written.while_loading = lambda: time.sleep(0.01)

    async def scene() -> None:
        subscription = subscription_of(told_of(written))
        await subscription.changes()
        written.facts["a"] = {"done": 2}
        broadcaster_here().hear({7: True})
        assert (await message(subscription))["html"] == {"a-done": "<p>2</p>"}
        subscription.close()

    within_ten_seconds(scene)


def test_where_changes_are_told_looks_are_seldom(monkeypatch: pytest.MonkeyPatch, subscription: Notices) -> None:
    written = Written(a={"done": 1})
    monkeypatch.setattr(pacing, "IDLE_LOOK_SECONDS", 0.5)
    subscription.are_told = True

    async def scene() -> None:
        subscription = subscription_of(told_of(written))
        await subscription.changes()
        looks = written.looks
        await asyncio.sleep(0.4)
        assert written.looks - looks <= 1
        subscription.close()

    within_ten_seconds(scene)


def test_what_no_page_shows_is_not_sent_to_pages() -> None:
    written = Written(a={"done": 1})

    async def scene() -> None:
        subscription = subscription_of(key_of(written))
        await subscription.changes()
        written.facts["a"] = {"done": "1"}
        [(key, watched, known)] = await subscription.changes()
        assert watched.page_message(key.address, known) == ""
        subscription.close()

    within_ten_seconds(scene)
