"""Counters in Redis that many processes share: looked at and raised in one script, so that no two can both be last."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import redis
from django.conf import settings

PREFIX = "clustercore:limit:"
MARK_PREFIX = "clustercore:mark:"
_TIMEOUT_SECONDS = 0.5
"""A limit is asked for with every request: a Redis that is slower than this counts as away."""

_TAKE = """
local wait = 0
for i, key in ipairs(KEYS) do
    if tonumber(redis.call('GET', key) or '0') >= tonumber(ARGV[i + 1]) then
        wait = math.max(wait, redis.call('PTTL', key), 1)
    end
end
if wait > 0 then return wait end
for _, key in ipairs(KEYS) do
    if redis.call('INCR', key) == 1 then redis.call('PEXPIRE', key, ARGV[1]) end
end
return 0
"""
_GIVE_BACK = """
for _, key in ipairs(KEYS) do
    if tonumber(redis.call('GET', key) or '0') > 0 then redis.call('DECR', key) end
end
return 0
"""


class CountersAway(Exception):
    """Redis did not answer, so that nobody knows how much was used."""


@lru_cache(maxsize=1)
def client() -> redis.Redis:
    """This process's client, shared by its threads; it connects on first use."""
    return redis.Redis.from_url(
        settings.REDIS_URL, socket_connect_timeout=_TIMEOUT_SECONDS, socket_timeout=_TIMEOUT_SECONDS
    )


def take_from_all(limits: Mapping[str, int], seconds: int) -> int:
    """One from each bucket, or from none of them: 0, or the milliseconds until the fullest is empty again.

    A bucket's window of `seconds` begins with the first that is taken. Raises CountersAway.
    """
    keys = [PREFIX + bucket for bucket in limits]
    return _run(_TAKE, keys, [seconds * 1000, *limits.values()])


def give_back(buckets: list[str]) -> None:
    """Puts one back into each bucket. Raises CountersAway."""
    _run(_GIVE_BACK, [PREFIX + bucket for bucket in buckets], [])


def empty_all(beginning: str) -> None:
    """Forgets what was taken from the buckets whose names begin so, without wildcards. Raises CountersAway."""
    try:
        for key in client().scan_iter(f"{PREFIX}{beginning}*", count=1000):
            client().delete(key)
    except redis.RedisError as error:
        raise CountersAway(str(error)) from error


def mark(name: str, seconds: int) -> None:
    """Remembers a name for so long. Raises CountersAway."""
    try:
        client().set(MARK_PREFIX + name, 1, ex=seconds)
    except redis.RedisError as error:
        raise CountersAway(str(error)) from error


def is_marked(name: str) -> bool:
    """Whether a name is remembered. Raises CountersAway."""
    try:
        return bool(client().exists(MARK_PREFIX + name))
    except redis.RedisError as error:
        raise CountersAway(str(error)) from error


def _run(script: str, keys: list[str], arguments: list[int]) -> int:
    try:
        return int(client().eval(script, len(keys), *keys, *arguments))
    except redis.RedisError as error:
        raise CountersAway(str(error)) from error
