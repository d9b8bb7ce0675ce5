from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.transcription.engines.audio_files import RATE, silence, tone
from transcription.adapters.engines.audio import Samples
from transcription.adapters.engines.speech_regions import MAXIMUM_SECONDS, speech_regions


def seconds(samples: Samples) -> list[tuple[float, float]]:
    return [(region.start / RATE, region.end / RATE) for region in speech_regions(samples)]


def joined(*parts: Samples) -> Samples:
    return np.concatenate(parts)


def test_silence_has_no_region() -> None:
    assert seconds(silence(3)) == []
    assert seconds(silence(0)) == []


def test_two_utterances_are_two_regions_with_padding() -> None:
    found = seconds(joined(silence(1), tone(1), silence(1), tone(1), silence(1)))
    assert found == [pytest.approx((0.8, 2.2), abs=0.02), pytest.approx((2.8, 4.2), abs=0.02)]


def test_a_short_pause_is_part_of_an_utterance() -> None:
    assert len(seconds(joined(tone(1), silence(0.3), tone(1)))) == 1


def test_speech_at_the_edges_is_kept_to_the_last_sample() -> None:
    samples = joined(tone(1), silence(1), tone(1))[:-7]
    regions = speech_regions(samples)
    assert (regions[0].start, regions[-1].end) == (0, len(samples))


def test_a_faint_ending_belongs_to_its_utterance() -> None:
    found = seconds(joined(silence(1), tone(1), tone(0.5, amplitude=400), silence(1)))
    assert found[0][1] >= 2.5


def test_quiet_speech_beside_loud_speech_is_kept() -> None:
    found = seconds(joined(silence(1), tone(2, amplitude=20_000), silence(1), tone(1, amplitude=1_000), silence(1)))
    assert len(found) == 2


def test_noise_without_any_silence_is_kept_whole_and_cut_to_size() -> None:
    noise = np.random.default_rng(0).normal(0, 500, 40 * RATE).astype(np.int16)
    found = seconds(noise)
    assert (found[0][0], found[-1][1]) == (0.0, 40.0)
    assert len(found) >= 4


def test_a_long_utterance_is_cut_at_its_quietest_point() -> None:
    samples = joined(silence(1), tone(9), tone(0.2, amplitude=900), tone(8), silence(1))
    first, second = seconds(samples)
    assert 10.0 <= first[1] <= 10.2
    assert second[0] == first[1]


@given(st.lists(st.tuples(st.booleans(), st.floats(0.05, 9.0)), max_size=6))
@settings(max_examples=40, deadline=None)
def test_everything_loud_lies_in_exactly_one_region(pattern: list[tuple[bool, float]]) -> None:
    parts = [tone(length) if loud else silence(length) for loud, length in pattern]
    samples = joined(silence(0), *parts)
    regions = speech_regions(samples)
    for earlier, later in pairwise(regions):
        assert earlier.end <= later.start
    assert all(0 < region.end - region.start <= MAXIMUM_SECONDS * RATE for region in regions)
    covered = np.zeros(len(samples), dtype=np.bool_)
    for region in regions:
        covered[region.start : region.end] = True
    assert not np.any(np.abs(samples[~covered]) > 1_000)
