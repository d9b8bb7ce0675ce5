"""The poller: without activity in the ledger it reads nothing, and with it at the next look."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from clustercore.live.domain.activity import Activity
from clustercore.live.services import polling
from clustercore.live.services.polling import LONGEST_BACKOFF_SECONDS, LONGEST_UNREAD_SECONDS, Key, Poller, PollRequest
from tests.fakes.live.topics import Written


class Clock:
    """The monotonic clock of the poller, which the test moves; looking takes no time."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def thread_time(self) -> float:
        return 0.0


class Scene:
    """One key that a page follows, and a ledger that activities as the test says."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.written = Written(a={"done": 1})
        self.activity = Activity(mark=1, written="0/1", is_working=False)
        self.asked_for_activity = 0
        self._key = Key(replace(self.written.topic(), activity=self._activity_now), "a", "written:a")
        self._poller = Poller()
        self._asked = PollRequest(self._key, None, None, {}, True, False, for_pages=True, for_programs=False)
        self.look()

    def _activity_now(self) -> Activity:
        self.asked_for_activity += 1
        return self.activity

    def look(self, seconds_later: float = 0.25, *, is_told: bool = False) -> bool:
        """Whether a look was taken at all; what it found is known afterwards."""
        self.clock.now += seconds_later
        before = self.written.looks
        for found in self._poller.look([replace(self._asked, is_told=is_told)]):
            self._asked = replace(self._asked, facts=found.facts, parts=found.parts)
        self._asked = replace(self._asked, is_new=False)
        return self.written.looks > before

    @property
    def is_idle(self) -> bool:
        return self._poller.is_idle

    def rest(self, seconds: float) -> None:
        """The last look cost so much that the topic is left alone for so long."""
        self._poller._due[self._key.topic.name] = self.clock.now + seconds

    @property
    def is_behind(self) -> bool:
        return self._poller.is_behind

    def sign_of_life(self) -> None:
        """Something is written that nobody is shown."""
        self.activity = replace(self.activity, written=object())


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    clock = Clock()
    monkeypatch.setattr(polling, "time", clock)
    yield Scene(clock)


def test_where_nothing_is_written_nobody_looks(scene: Scene) -> None:
    assert not any(scene.look() for _ in range(20))
    assert scene.asked_for_activity == 21
    assert scene.is_idle


def test_news_is_seen_at_once(scene: Scene) -> None:
    scene.look()
    scene.activity = replace(scene.activity, mark=2, written="0/2")
    scene.written.facts["a"] = {"done": 2}
    assert scene.look()
    assert not scene.is_idle
    assert not scene.look()


def test_what_is_told_is_looked_at_whatever_the_ledger_says_of_itself(scene: Scene) -> None:
    assert not scene.look()
    assert scene.look(is_told=True)
    assert not scene.look()


def test_what_is_told_while_a_topic_rests_is_not_forgotten(scene: Scene) -> None:
    scene.rest(1.0)
    assert not scene.look(is_told=True)
    assert scene.is_behind
    assert not scene.look()
    assert scene.look(seconds_later=1.0)
    assert not scene.is_behind
    assert not scene.look()


def test_while_something_is_in_hand_and_once_after_it_every_look_is_taken(scene: Scene) -> None:
    scene.activity = replace(scene.activity, is_working=True)
    assert all(scene.look() for _ in range(5))
    assert not scene.is_idle
    scene.activity = replace(scene.activity, is_working=False)
    assert scene.look()
    assert not scene.look()


def test_a_change_without_a_mark_is_seen_as_soon_as_it_is_written(scene: Scene) -> None:
    scene.look()
    scene.sign_of_life()
    scene.written.facts["a"] = {"done": 3}
    assert scene.look()


def test_signs_of_life_are_looked_at_less_and_less(scene: Scene) -> None:
    looks = 0
    for _ in range(400):
        scene.sign_of_life()
        looks += scene.look()
    assert looks == pytest.approx(100 / LONGEST_BACKOFF_SECONDS, rel=0.2)
    scene.clock.now += LONGEST_BACKOFF_SECONDS
    scene.sign_of_life()
    scene.written.facts["a"] = {"done": 4}
    assert scene.look()
    scene.sign_of_life()
    scene.written.facts["a"] = {"done": 5}
    assert scene.look(), "after a change one is quick again"


def test_what_changes_with_time_alone_is_seen_within_seconds(scene: Scene) -> None:
    assert not scene.look(LONGEST_UNREAD_SECONDS / 2)
    assert scene.look(LONGEST_UNREAD_SECONDS / 2)


def test_who_comes_anew_is_told_at_once(scene: Scene) -> None:
    scene.look()
    scene._asked = replace(scene._asked, is_new=True)
    assert scene.look()


def test_a_topic_that_cannot_tell_is_looked_at_each_time(scene: Scene) -> None:
    key = Key(scene.written.topic("other"), "a", "other:a")
    asked = PollRequest(key, None, None, {}, False, False, for_pages=True, for_programs=False)
    poller = Poller()
    before = scene.written.looks
    for _ in range(3):
        scene.clock.now += 0.25
        poller.look([asked])
    assert scene.written.looks == before + 3
    assert not poller.is_idle
