"""The watcher: it looks only while somebody follows, shows a change once, and never queues."""

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

from clustercore.jobs.adapters.notices import Notices
from clustercore.telemetry.services import watching
from clustercore.telemetry.services.looking import Key
from clustercore.telemetry.services.watching import AWAY, Follower, Watcher, watcher_here
from tests.fakes.telemetry.topics import Written


@pytest.fixture(autouse=True)
def subscription(monkeypatch: pytest.MonkeyPatch) -> Notices:
    """Tells nothing by itself, whether there is a Redis or not."""
    found = Notices()
    monkeypatch.setattr(found, "listen", lambda _listener: None)
    monkeypatch.setattr(watching, "notices_here", lambda: found)
    return found


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(watching, "AWAY_SECONDS", 0.02)
    monkeypatch.setattr(watching, "SHORTEST_PAUSE_SECONDS", 0.01)


def within_ten_seconds(scene: Callable[[], Awaitable[None]]) -> None:
    async def play() -> None:
        async with asyncio.timeout(10):
            await scene()

    asyncio.run(play())


def key_of(written: Written, key: str = "a", name: str = "written") -> Key:
    return Key(written.topic(name), key, f"{name}:{key}")


def follower_of(*keys: Key, pages: bool = True) -> Follower:
    follower = Follower(watcher_here(), pages=pages)
    follower.follow(keys)
    return follower


async def message(follower: Follower) -> dict[str, Any]:
    [(key, watched, known)] = await follower.news()
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
        follower = follower_of(key_of(written))
        first = await message(follower)
        written.facts["a"] = {"done": 2, "total": 4}
        second = await message(follower)
        follower.close()
        assert first["html"] == {"a-done": "<p>1</p>", "a-total": "<p>4</p>"}
        assert second["html"] == {"a-done": "<p>2</p>"}
        assert second["version"] > first["version"]

    within_ten_seconds(scene)


def test_a_change_is_rendered_once_for_all_who_follow() -> None:
    written = Written(a={"done": 1})

    async def scene() -> None:
        followers = [follower_of(key_of(written)) for _ in range(50)]
        for follower in followers:
            await follower.news()
        rendered, looks = written.rendered, written.looks
        written.facts["a"] = {"done": 2}
        texts = []
        for follower in followers:
            [(key, watched, known)] = await follower.news()
            texts.append(watched.page_message(key.address, known))
            follower.close()
        assert (rendered, written.rendered) == (1, 2)
        assert looks <= 3
        assert len({id(text) for text in texts}) == 1

    within_ten_seconds(scene)


def test_nothing_is_rendered_or_told_while_nothing_changes() -> None:
    written = Written(a={"done": 1})

    async def scene() -> None:
        follower = follower_of(key_of(written))
        await follower.news()
        await looked_again(written)
        waiting = asyncio.ensure_future(follower.news())
        await looked_again(written)
        assert not waiting.done()
        waiting.cancel()
        follower.close()
        assert written.rendered == 1

    within_ten_seconds(scene)


def test_a_slow_follower_gets_the_newest_state_and_nothing_piles_up() -> None:
    written = Written(a={"done": 0}, b={"done": 0})

    async def scene() -> None:
        slow = follower_of(key_of(written, "a"), key_of(written, "b"))
        await looked_again(written)
        for step in range(1, 20):
            written.facts["a"] = {"done": step}
            await looked_again(written)
        assert len(slow._changed) == 2
        news = await slow.news()
        slow.close()
        assert [watched.facts for _, watched, _ in news] == [{"done": 19}, {"done": 0}]

    within_ten_seconds(scene)


def test_watching_ends_with_the_last_follower_and_begins_again_with_the_next() -> None:
    written = Written(a={"done": 1})

    async def scene() -> None:
        watcher = watcher_here()
        for _ in range(2):
            follower = follower_of(key_of(written))
            await follower.news()
            assert watcher.is_running
            follower.close()
            while watcher.is_running:
                await asyncio.sleep(0.005)
            assert watcher.watched == {}
            looks = written.looks
            await asyncio.sleep(0.1)
            assert written.looks == looks

    within_ten_seconds(scene)


def test_no_thread_is_left_when_the_event_loop_ends() -> None:
    written = Written(a={"done": 1})

    async def scene() -> None:
        follower = follower_of(key_of(written))
        await follower.news()
        assert threading.get_ident() not in written.threads

    before = set(threading.enumerate())
    within_ten_seconds(scene)
    assert set(threading.enumerate()) - before == set()


def test_each_event_loop_has_a_watcher_of_its_own() -> None:
    seen: list[Watcher] = []

    async def scene() -> None:
        assert watcher_here() is watcher_here()
        seen.append(watcher_here())

    within_ten_seconds(scene)
    within_ten_seconds(scene)
    assert seen[0] is not seen[1]


def test_followers_are_told_when_the_ledger_is_away_and_when_it_is_back() -> None:
    written = Written(a={"done": 1})

    async def scene() -> None:
        follower = follower_of(key_of(written))
        await follower.news()
        written.error = OperationalError("connection refused")
        assert await follower.news() == []
        assert follower.take_notice() == AWAY
        late = follower_of(key_of(written))
        await late.news()
        while late.take_notice() != AWAY:
            await late.news()
        written.error, written.facts["a"] = None, {"done": 2}
        told: list[Any] = []
        while {"done": 2} not in told:
            told += [watched.facts for _, watched, _ in await follower.news()]
        assert follower.take_notice() == ""
        follower.close()
        late.close()

    within_ten_seconds(scene)


def test_a_look_that_hangs_is_told_before_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "SILENCE_SECONDS", 0.05)
    written = Written(a={"done": 1})
    answers = threading.Event()

    async def scene() -> None:
        follower = follower_of(key_of(written))
        await follower.news()
        written.while_loading = lambda: bool(answers.wait(8)) or None  # type: ignore[assignment]
        await follower.news()
        assert follower.take_notice() == AWAY
        answers.set()
        await follower.news()
        assert follower.take_notice() == ""
        follower.close()

    within_ten_seconds(scene)


def test_a_topic_that_cannot_be_shown_does_not_silence_the_others(caplog: pytest.LogCaptureFixture) -> None:
    broken, sound = Written(a={}), Written(a={"done": 1})
    broken.error = TypeError("a mistake in a template")

    async def scene() -> None:
        follower = follower_of(key_of(broken, name="broken"), key_of(sound, name="sound"))
        [(key, _, _)] = await follower.news()
        assert key.address == "sound:a"
        await looked_again(sound)
        follower.close()

    within_ten_seconds(scene)
    assert len([record for record in caplog.records if "broken" in record.message]) == 1


def test_what_is_gone_is_told_and_known_to_who_comes_later() -> None:
    written = Written(a={"done": 1})

    async def scene() -> None:
        follower = follower_of(key_of(written))
        await follower.news()
        del written.facts["a"]
        body = await message(follower)
        late = follower_of(key_of(written))
        assert body["gone"] is True and body["html"] == {}
        assert (await message(late))["gone"] is True
        never = follower_of(key_of(written, "never-there"))
        assert (await message(never))["gone"] is True
        for one in (follower, late, never):
            one.close()

    within_ten_seconds(scene)


def test_a_page_that_joins_a_program_gets_its_parts() -> None:
    written = Written(a={"done": 1})

    async def scene() -> None:
        program = follower_of(key_of(written), pages=False)
        [(_, watched, _)] = await program.news()
        assert (watched.state, written.rendered) == ({"done": 1}, 0)
        page = follower_of(key_of(written))
        assert (await message(page))["html"] == {"a-done": "<p>1</p>"}
        program.close()
        page.close()

    within_ten_seconds(scene)


def test_a_program_that_joins_a_page_gets_the_state_that_nobody_had_asked_for() -> None:
    written = Written(a={"done": 1})

    async def scene() -> None:
        page = follower_of(key_of(written))
        [(_, watched, _)] = await page.news()
        assert watched.state is None
        program = follower_of(key_of(written), pages=False)
        [(_, watched, _)] = await program.news()
        assert watched.state == {"done": 1}
        program.close()
        page.close()

    within_ten_seconds(scene)


def test_another_list_replaces_the_first() -> None:
    written = Written(a={"done": 1}, b={"done": 2})

    async def scene() -> None:
        follower = follower_of(key_of(written, "a"))
        await follower.news()
        follower.follow([key_of(written, "b")])
        assert (await message(follower))["topic"] == "written:b"
        written.facts = {"a": {"done": 3}, "b": {"done": 4}}
        assert (await message(follower))["topic"] == "written:b"
        assert [key.key for key in watcher_here().watched] == ["b"]
        follower.close()

    within_ten_seconds(scene)


def test_a_costly_part_is_made_seldom_and_its_last_change_is_not_left_out() -> None:
    written = Written(a={"done": 0, "costly": 0})
    written.every = {"costly": 0.3}

    async def scene() -> None:
        follower = follower_of(key_of(written))
        await follower.news()
        for step in range(1, 4):
            written.facts["a"] = {"done": step, "costly": step}
            shown = await message(follower)
            assert shown["html"] == {"a-done": f"<p>{step}</p>"}
        assert (await message(follower))["html"] == {"a-costly": "<p>3</p>"}
        assert written.rendered == 2 + 3 + 1
        follower.close()

    within_ten_seconds(scene)


def told_of(written: Written, name: str = "written") -> Key:
    """A key whose topic is told of job 7."""
    topic = replace(written.topic(name), concerns=lambda _key, jobs: 7 in jobs)
    return Key(topic, "a", f"{name}:a")


def test_what_is_told_is_seen_long_before_the_next_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "LOOK_SECONDS", 60.0)
    monkeypatch.setattr(watching, "PAUSE_PER_LOOK", 0)
    written = Written(a={"done": 1})

    async def scene() -> None:
        follower = follower_of(told_of(written))
        await follower.news()
        for done in range(2, 6):
            written.facts["a"] = {"done": done}
            watcher_here()._hear({7: False})
            assert (await message(follower))["html"] == {"a-done": f"<p>{done}</p>"}
        written.facts["a"] = {"done": 9}
        watcher_here()._hear(None)
        assert (await message(follower))["html"] == {"a-done": "<p>9</p>"}
        follower.close()

    within_ten_seconds(scene)


def test_a_change_of_what_nobody_follows_causes_no_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "LOOK_SECONDS", 60.0)
    written, deaf = Written(a={"done": 1}), Written(a={"done": 1})

    async def scene() -> None:
        follower = follower_of(told_of(written), key_of(deaf, name="deaf"))
        await follower.news()
        looks = written.looks
        watcher_here()._hear({8: True})
        await asyncio.sleep(0.2)
        assert written.looks == looks
        follower.close()

    within_ten_seconds(scene)


def test_a_flood_of_changes_leaves_the_ledger_some_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "LOOK_SECONDS", 0.25)
    written = Written(a={"done": 1})
    written.while_loading = lambda: time.sleep(0.05)

    async def scene() -> None:
        clock = asyncio.get_running_loop().time
        follower = follower_of(told_of(written))
        await follower.news()
        looks, until = written.looks, clock() + 2.0
        while clock() < until:
            watcher_here()._hear({7: False})
            await asyncio.sleep(0.005)
        assert 2 <= written.looks - looks <= 2.0 / (4 * 0.05) + 1
        follower.close()

    within_ten_seconds(scene)


def test_an_end_is_looked_at_without_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "LOOK_SECONDS", 60.0)
    monkeypatch.setattr(watching, "PAUSE_PER_LOOK", 10_000)
    written = Written(a={"done": 1})
    written.while_loading = lambda: time.sleep(0.01)

    async def scene() -> None:
        follower = follower_of(told_of(written))
        await follower.news()
        written.facts["a"] = {"done": 2}
        watcher_here()._hear({7: True})
        assert (await message(follower))["html"] == {"a-done": "<p>2</p>"}
        follower.close()

    within_ten_seconds(scene)


def test_where_changes_are_told_looks_are_seldom(monkeypatch: pytest.MonkeyPatch, subscription: Notices) -> None:
    written = Written(a={"done": 1})
    monkeypatch.setattr(watching, "IDLE_LOOK_SECONDS", 0.5)
    subscription.are_told = True

    async def scene() -> None:
        follower = follower_of(told_of(written))
        await follower.news()
        looks = written.looks
        await asyncio.sleep(0.4)
        assert written.looks - looks <= 1
        follower.close()

    within_ten_seconds(scene)


def test_what_no_page_shows_is_not_sent_to_pages() -> None:
    written = Written(a={"done": 1})

    async def scene() -> None:
        follower = follower_of(key_of(written))
        await follower.news()
        written.facts["a"] = {"done": "1"}
        [(key, watched, known)] = await follower.news()
        assert watched.page_message(key.address, known) == ""
        follower.close()

    within_ten_seconds(scene)
