from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transcription.domain.cut import (
    Append,
    Complete,
    CutRule,
    Cutting,
    Instruction,
    Samples,
    quietest_point,
)
from transcription.domain.sampling import SAMPLE_RATE


def noise(seconds: float, loudness: float = 3000.0, seed: int = 1) -> Samples:
    random = np.random.default_rng(seed)
    return (random.normal(size=round(seconds * SAMPLE_RATE)) * loudness).astype(np.int16)


def with_pause(sound: Samples, start: float, end: float, loudness: float = 0.0) -> Samples:
    quiet = sound.copy()
    first, last = round(start * SAMPLE_RATE), round(end * SAMPLE_RATE)
    quiet[first:last] = noise(end - start, loudness, seed=2)[: last - first]
    return quiet


def carried_out(
    rule: CutRule, sound: Samples, block: int, known: list[tuple[int, int]] | None = None, again: Collection[int] = ()
) -> list[Instruction]:
    cutting = Cutting(lambda _: rule, known or [], again)
    steps: list[Instruction] = []
    for at in range(0, len(sound), block):
        steps += cutting.feed(sound[at : at + block])
    return steps + list(cutting.finish())


def cuts_in(steps: list[Instruction]) -> list[tuple[int, int]]:
    return [(step.start, step.end) for step in steps if isinstance(step, Complete)]


def test_the_cut_falls_into_the_middle_of_a_pause() -> None:
    sound = with_pause(noise(10), 6.0, 6.5)
    assert quietest_point(sound) / SAMPLE_RATE == pytest.approx(6.25, abs=0.02)


def test_a_long_pause_is_preferred_to_a_short_one_nearer_by() -> None:
    sound = with_pause(with_pause(noise(10), 5.0, 5.08), 8.0, 8.6)
    assert quietest_point(sound) / SAMPLE_RATE == pytest.approx(8.3, abs=0.11)


def test_a_quieter_pause_is_preferred_to_a_louder_one_of_the_same_length() -> None:
    sound = with_pause(with_pause(noise(10), 3.0, 3.5, 300.0), 7.0, 7.5, 30.0)
    assert quietest_point(sound) / SAMPLE_RATE == pytest.approx(7.25, abs=0.05)


def test_of_equal_pauses_the_one_nearest_to_the_boundary_is_taken() -> None:
    sound = np.zeros(10 * SAMPLE_RATE, np.int16)
    assert quietest_point(sound) / SAMPLE_RATE == pytest.approx(5.0, abs=0.02)


def test_a_window_too_small_for_a_pause_is_cut_in_the_middle() -> None:
    assert quietest_point(noise(0.01)) == 80


@settings(max_examples=60, deadline=None)
@given(
    samples=st.integers(0, 60 * SAMPLE_RATE),
    piece=st.integers(SAMPLE_RATE, 20 * SAMPLE_RATE),
    share=st.floats(0, 1),
    block=st.integers(500, 5 * SAMPLE_RATE),
)
def test_every_sample_is_in_exactly_one_piece_of_a_fair_size(
    samples: int, piece: int, share: float, block: int
) -> None:
    rule = CutRule(piece, round(piece * share))
    sound = np.arange(samples).astype(np.int16)
    steps = carried_out(rule, sound, block)
    cuts = cuts_in(steps)
    assert [cut[0] for cut in cuts] == [0, *(cut[1] for cut in cuts[:-1])][: len(cuts)]
    assert sum(end - start for start, end in cuts) == samples
    together = [step.samples for step in steps if isinstance(step, Append)]
    assert np.array_equal(np.concatenate([*together, np.empty(0, np.int16)]), sound)
    for start, end in cuts[:-1]:
        assert rule.settled <= end - start <= rule.settled + rule.width
    if len(cuts) > 1:
        assert rule.tail <= cuts[-1][1] - cuts[-1][0] <= rule.settled + rule.width + rule.tail


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    blocks=st.tuples(st.integers(500, 50_000), st.integers(500, 50_000)),
    done=st.integers(0, 9),
)
def test_cuts_depend_neither_on_the_blocks_nor_on_where_an_attempt_began(
    seed: int, blocks: tuple[int, int], done: int
) -> None:
    sound = noise(40, seed=seed)
    rule = CutRule.from_seconds(4, 2)
    cuts = cuts_in(carried_out(rule, sound, blocks[0]))
    known = cuts[:done]
    steps = carried_out(rule, sound, blocks[1], known)
    assert known + cuts_in(steps) == cuts
    assert [step.ordinal for step in steps if isinstance(step, Complete)] == list(range(len(known), len(cuts)))


def test_known_cuts_hold_even_where_the_rule_would_cut_elsewhere() -> None:
    known = [(0, 12_345), (12_345, 70_000)]
    steps = carried_out(CutRule.from_seconds(4, 2), noise(20), 16_000, known)
    assert cuts_in(steps)[0][0] == 70_000


def test_samples_leave_as_soon_as_their_piece_is_certain() -> None:
    cutting = Cutting(lambda _: CutRule.from_seconds(600, 20))
    sent = sum(len(step.samples) for step in cutting.feed(noise(300)) if isinstance(step, Append))
    assert sent == 300 * SAMPLE_RATE


@pytest.mark.parametrize("known", [[(1, 5)], [(0, 5), (6, 9)], [(0, 0)], [(0, 5), (4, 9)]])
def test_known_cuts_with_holes_are_refused(known: list[tuple[int, int]]) -> None:
    with pytest.raises(ValueError, match="without a gap"):
        Cutting(lambda _: CutRule.from_seconds(4, 2), known)


@pytest.mark.parametrize(("piece", "window"), [(SAMPLE_RATE - 1, 0), (SAMPLE_RATE, -1), (SAMPLE_RATE, SAMPLE_RATE + 1)])
def test_impossible_sizes_are_refused(piece: int, window: int) -> None:
    with pytest.raises(ValueError, match="at"):
        CutRule(piece, window)


@settings(max_examples=60, deadline=None)
@given(
    samples=st.integers(10 * SAMPLE_RATE, 60 * SAMPLE_RATE),
    block=st.integers(500, 5 * SAMPLE_RATE),
    share=st.floats(0, 1),
    data=st.data(),
)
def test_known_pieces_are_cut_again_sample_for_sample_beside_the_new_ones(
    samples: int, block: int, share: float, data: st.DataObject
) -> None:
    rule = CutRule(3 * SAMPLE_RATE, SAMPLE_RATE)
    sound = np.arange(samples).astype(np.int16)
    cuts = cuts_in(carried_out(rule, sound, block))
    known = cuts[: round(share * len(cuts))]
    again = data.draw(st.sets(st.integers(0, len(known) - 1))) if known else set()
    steps = carried_out(rule, sound, block, known, again)
    wanted = [*sorted(again), *range(len(known), len(cuts))]
    assert [(step.ordinal, step.start, step.end) for step in steps if isinstance(step, Complete)] == [
        (ordinal, *cuts[ordinal]) for ordinal in wanted
    ]
    for ordinal in wanted:
        parts = [step.samples for step in steps if isinstance(step, Append) and step.ordinal == ordinal]
        assert np.array_equal(np.concatenate(parts), sound[slice(*cuts[ordinal])])


def test_only_known_pieces_can_be_cut_again() -> None:
    with pytest.raises(ValueError, match="Only known pieces"):
        Cutting(lambda _: CutRule(SAMPLE_RATE, 0), [(0, 10)], [1])
