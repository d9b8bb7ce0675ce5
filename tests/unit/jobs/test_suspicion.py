from __future__ import annotations

from uuid import UUID

from clustercore.jobs.domain.suspicion import InHand, suspects

BIG, SMALL, WAITING = UUID(int=1), UUID(int=2), UUID(int=3)
NOTED = InHand(memory_kills=4, resident_mb={SMALL: 300, BIG: 900, WAITING: 0})


def test_when_memory_ran_out_only_the_piece_that_used_most_of_it_is_suspected() -> None:
    assert suspects(NOTED, memory_kills=5) == frozenset({BIG})


def test_a_piece_that_no_engine_had_begun_is_never_suspected_of_it() -> None:
    assert suspects(InHand(memory_kills=4, resident_mb={WAITING: 0}), memory_kills=5) == frozenset()


def test_without_a_word_of_memory_every_piece_in_hand_is_suspected() -> None:
    assert suspects(NOTED, memory_kills=4) is None


def test_where_nothing_was_noted_or_nothing_is_counted_every_piece_is_suspected() -> None:
    assert suspects(None, memory_kills=5) is None
    assert suspects(NOTED, memory_kills=None) is None
    assert suspects(InHand(memory_kills=None, resident_mb={BIG: 900}), memory_kills=5) is None
