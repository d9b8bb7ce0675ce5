from __future__ import annotations

import numpy as np
import pytest

from transcription.adapters.levelling import Leveller, frame_decibels
from transcription.adapters.mixing import Floats

RATE = 16_000


def speech(decibels: float, seconds: int = 10, seed: int = 1) -> Floats:
    """Bursts of noise with pauses between them; the bursts are so loud."""
    noise = np.random.default_rng(seed).normal(size=seconds * RATE).astype(np.float32)
    syllables = np.repeat(np.tile([1.0, 0.0], seconds * 2), RATE // 4)[: len(noise)]
    return np.asarray(noise * syllables * 10 ** (decibels / 20), np.float32)


def levelled(sound: Floats, leveller: Leveller | None = None) -> tuple[Floats, Leveller]:
    used = leveller or Leveller()
    blocks = [used.take(sound[at : at + RATE]) for at in range(0, len(sound), RATE)]
    return np.asarray(np.concatenate(blocks) / 32_768, np.float32), used


def loud(sound: Floats) -> float:
    return float(np.percentile(frame_decibels(sound), 95))


@pytest.mark.parametrize("decibels", [-40.0, -30.0, -12.0])
def test_speech_of_ordinary_loudness_is_left_as_it_is_to_the_bit(decibels: float) -> None:
    sound = np.clip(speech(decibels), -0.99, 0.99)
    result, leveller = levelled(sound)
    assert np.array_equal(result * 32_768, np.rint(sound * 32_768))
    assert leveller.loudness.raised_seconds == 0


@pytest.mark.parametrize("decibels", [-55.0, -65.0, -80.0])
def test_quiet_speech_is_made_loud_enough_to_be_heard(decibels: float) -> None:
    result, leveller = levelled(speech(decibels))
    assert -34 < loud(result) < -20
    assert np.abs(result).max() < 1
    assert leveller.loudness.raised_seconds > 8


def test_steady_noise_is_not_made_louder() -> None:
    hiss = (np.random.default_rng(2).normal(size=20 * RATE) * 10 ** (-70 / 20)).astype(np.float32)
    result, leveller = levelled(hiss)
    assert loud(result) < -68
    assert leveller.loudness.raised_seconds == 0


def test_loud_speech_after_quiet_speech_is_not_driven_over_full_scale() -> None:
    result, _ = levelled(np.concatenate([speech(-60.0), np.clip(speech(-15.0), -0.9, 0.9)]))
    assert np.mean(np.abs(result) > 0.999) < 0.001


def test_floats_far_above_full_scale_keep_their_shape() -> None:
    times = np.arange(5 * RATE) / RATE
    result, leveller = levelled((8 * np.sin(2 * np.pi * 300 * times)).astype(np.float32))
    assert np.mean(np.abs(result) > 0.95) == 0
    assert leveller.loudness.overdriven_seconds > 4


def test_what_lies_at_full_scale_is_called_overdriven() -> None:
    _, leveller = levelled(np.clip(speech(-12.0) * 20, -1, 1))
    assert leveller.loudness.overdriven_seconds > 8


def test_an_offset_is_taken_out() -> None:
    result, _ = levelled(speech(-35.0) + np.float32(0.3))
    assert abs(float(result.mean())) < 0.01


def test_silence_stays_silence_and_is_told_apart_from_sound() -> None:
    result, silent = levelled(np.zeros(3 * RATE, np.float32))
    assert not result.any()
    assert not silent.loudness.has_sound
    assert levelled(speech(-50.0))[1].loudness.has_sound


def test_the_same_recording_always_gives_the_same_samples() -> None:
    sound = np.concatenate([speech(-60.0), speech(-30.0, seed=3), speech(-70.0, seed=4)])
    assert np.array_equal(levelled(sound)[0], levelled(sound)[0])


@pytest.mark.parametrize("wild", [1e6, -1e6, 40.0])
@pytest.mark.parametrize("width", [1, 40])
def test_a_few_wild_samples_mute_nothing_around_them(wild: float, width: int) -> None:
    noise = (np.random.default_rng(5).normal(size=12 * RATE) * 0.1).astype(np.float32)
    sound = noise.copy()
    sound[RATE + 500 : RATE + 500 + width] = wild
    result, _ = levelled(sound)
    expected, _ = levelled(noise)
    away = np.r_[0:RATE, 2 * RATE : 12 * RATE]
    assert np.array_equal(result[away], expected[away])
    assert np.abs(result[RATE + 500]) > 0.99


def test_one_wild_sample_in_sound_far_above_full_scale_keeps_its_shape() -> None:
    sound = (8 * np.sin(np.arange(5 * RATE) / 9)).astype(np.float32)
    sound[100] = 1e6
    result, _ = levelled(sound)
    assert 0.5 < np.percentile(np.abs(result), 99) < 0.95
