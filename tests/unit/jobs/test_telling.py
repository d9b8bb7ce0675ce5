"""The thread that tells changes: at once after a pause, gathered when they come fast; an error loses nothing else."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Collection, Set
from itertools import pairwise

import pytest

from clustercore.jobs.services import telling
from clustercore.jobs.services.telling import BETWEEN_SECONDS, LONGEST_AGAIN_SECONDS, Teller
from tests.fakes.nodes.polling import until


class Told:
    """What a teller told, and when; what is `locked` is to be told again."""

    def __init__(self) -> None:
        self.times: list[tuple[float, frozenset[int]]] = []
        self.locked: set[int] = set()
        self.error: Exception | None = None

    def tell(self, ids: Set[int]) -> Collection[int]:
        self.times.append((time.monotonic(), frozenset(ids)))
        if self.error is not None:
            raise self.error
        return ids & self.locked

    @property
    def ids(self) -> set[int]:
        return {one for _, ids in self.times for one in ids}


def test_the_first_change_is_told_at_once_and_those_that_follow_fast_are_told_together() -> None:
    told = Told()
    teller = Teller(told.tell)
    teller.add(1)
    until(lambda: told.times)
    for job_id in range(2, 50):
        teller.add(job_id)
    until(lambda: len(told.ids) == 49)
    assert told.times[0][1] == {1}
    moments = [at for at, _ in told.times]
    assert all(after - before > 0.9 * BETWEEN_SECONDS for before, after in pairwise(moments))
    assert len(moments) <= 3


def test_what_could_not_be_told_is_told_the_next_time() -> None:
    told = Told()
    told.locked = {1}
    teller = Teller(told.tell)
    teller.add(1)
    teller.add(2)
    until(lambda: sum(1 in ids for _, ids in told.times) >= 2)
    assert not teller.is_at_rest
    told.locked = set()
    until(lambda: teller.is_at_rest)
    assert sum(2 in ids for _, ids in told.times) == 1


def test_a_job_that_stays_locked_is_tried_more_and_more_seldom_and_keeps_no_other_waiting() -> None:
    told = Told()
    told.locked = {1}
    teller = Teller(told.tell)
    teller.add(1)
    until(lambda: len(told.times) >= 4)
    pauses = [after - before for before, after in pairwise(at for at, _ in told.times)]
    assert pauses[0] > 1.5 * BETWEEN_SECONDS and pauses[2] > 6 * BETWEEN_SECONDS
    began = time.monotonic()
    teller.add(2)
    until(lambda: 2 in told.ids)
    assert time.monotonic() - began < LONGEST_AGAIN_SECONDS / 2
    told.locked = set()
    until(lambda: teller.is_at_rest)


def test_an_error_neither_ends_the_telling_nor_reaches_whoever_changes_a_job(caplog: pytest.LogCaptureFixture) -> None:
    told = Told()
    told.error = RuntimeError("a mistake")
    teller = Teller(told.tell)
    teller.add(1)
    until(lambda: told.times and teller.is_at_rest)
    told.error = None
    teller.add(2)
    until(lambda: 2 in told.ids)
    assert "were not told" in caplog.text


def test_the_end_of_a_process_waits_for_what_was_not_told_yet() -> None:
    told = Told()
    teller = Teller(told.tell)
    for job_id in range(10):
        teller.add(job_id)
    teller.end()
    assert told.ids == set(range(10))


def test_the_end_of_a_process_does_not_wait_for_a_job_that_is_locked() -> None:
    told = Told()
    told.locked = {1}
    teller = Teller(told.tell)
    teller.add(1)
    until(lambda: told.times)
    began = time.monotonic()
    teller.end()
    assert teller.is_at_rest and time.monotonic() - began < telling.ENDING_SECONDS


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_process_has_a_thread_of_its_own() -> None:
    told = Told()
    teller = Teller(told.tell)
    os.register_at_fork(after_in_child=teller.begin_anew)
    teller.add(1)
    until(lambda: teller.is_at_rest)
    child = os.fork()
    if child == 0:
        teller.add(2)
        teller.end()
        os._exit(0 if 2 in told.ids and threading.active_count() == 2 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_an_end_is_told_at_once_though_something_was_told_just_now() -> None:
    told = Told()
    teller = Teller(told.tell)
    teller.add(1)
    until(lambda: told.times)
    teller.add(2, at_once=True)
    until(lambda: 2 in told.ids)
    assert told.times[1][0] - told.times[0][0] < BETWEEN_SECONDS
