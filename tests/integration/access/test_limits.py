"""Limits are exact, however many ask at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from clustercore.access.adapters import counters
from clustercore.access.adapters.counters import PREFIX, CountersAway
from clustercore.access.services import limits

pytestmark = [pytest.mark.services, pytest.mark.usefixtures("redis_client")]


def test_a_bucket_gives_as_much_as_its_limit_and_then_says_how_long_to_wait() -> None:
    assert [limits.take("b", 3, 60) for _ in range(3)] == [0, 0, 0]
    assert 0 < limits.take("b", 3, 60) <= 60
    assert limits.take("another", 3, 60) == 0


def test_of_fifty_at_once_exactly_twenty_are_let_through() -> None:
    with ThreadPoolExecutor(50) as pool:
        waits = list(pool.map(lambda _: limits.take("b", 20, 60), range(50)))
    assert waits.count(0) == 20


def test_a_refused_use_neither_counts_nor_lengthens_the_wait(redis_client: redis.Redis) -> None:
    limits.take("b", 1, 60)
    redis_client.pexpire(f"{PREFIX}b", 5_000)
    assert limits.take("b", 1, 60) <= 5
    assert redis_client.get(f"{PREFIX}b") == b"1"
    assert redis_client.pttl(f"{PREFIX}b") <= 5_000


def test_a_window_ends_by_itself(redis_client: redis.Redis) -> None:
    limits.take("b", 1, 60)
    assert 0 < redis_client.pttl(f"{PREFIX}b") <= 60_000


def test_of_several_buckets_all_are_taken_from_or_none(redis_client: redis.Redis) -> None:
    limits.take("full", 1, 60)
    assert limits.take_all({"empty": 5, "full": 1}, 60) > 0
    assert redis_client.get(f"{PREFIX}empty") is None


def test_what_is_given_back_can_be_taken_again() -> None:
    limits.take("b", 1, 60)
    limits.give_back("b", "never taken from")
    assert limits.take("b", 1, 60) == 0
    assert limits.take("never taken from", 1, 60) == 0


def test_a_redis_that_is_away_is_an_error_and_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    away = redis.Redis(host="127.0.0.1", port=1, socket_connect_timeout=0.1)
    monkeypatch.setattr(counters, "client", lambda: away)
    with pytest.raises(CountersAway):
        limits.take("b", 1, 60)
