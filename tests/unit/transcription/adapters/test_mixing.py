from __future__ import annotations

import numpy as np
import pytest
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

from transcription.adapters.mixing import Mixer
from transcription.adapters.opening import MediaError
from transcription.domain.cut import Samples


def frame_of(table: np.ndarray, kind: str, layout: str, rate: int = 16_000) -> AudioFrame:
    """A frame of samples of shape (channels, length), its channels interleaved."""
    frame = AudioFrame.from_ndarray(np.ascontiguousarray(table.T.reshape(1, -1)), format=kind, layout=layout)
    frame.sample_rate = rate
    return frame


def mixed(*frames: AudioFrame) -> Samples:
    mixer = Mixer()
    parts = [part for frame in frames for part in mixer.take(frame)] + list(mixer.drain())
    return np.rint(np.concatenate(parts) * 32_768).astype(np.int16)


@pytest.mark.parametrize("channels", [3, 8, 9, 12, 64])
def test_channels_without_names_are_mixed_in_equal_parts_however_they_lie_in_memory(channels: int) -> None:
    table = np.zeros((channels, 1600), np.float32)
    table[-1] = 0.5
    packed = frame_of(table, "flt", f"{channels} channels")
    [planar] = AudioResampler(format="fltp", layout=packed.layout, rate=16_000).resample(packed)
    expected = round(0.5 / channels * 32_768)
    for frame in (packed, planar):
        assert np.abs(mixed(frame).astype(int) - expected).max() <= 1


@pytest.mark.parametrize(
    ("kind", "dtype", "value"), [("u8", np.uint8, 192), ("s16", np.int16, 16_384), ("s32", np.int32, 2**30)]
)
def test_whole_numbers_of_every_size_mean_the_same_loudness(kind: str, dtype: type[np.generic], value: int) -> None:
    assert np.abs(mixed(frame_of(np.full((3, 800), value, dtype), kind, "3 channels")) - 16_384).max() <= 1


def test_a_change_of_rate_or_layout_on_the_way_loses_nothing() -> None:
    first = frame_of(np.full((1, 8_000), 1000, np.int16), "s16", "mono", 8_000)
    second = frame_of(np.full((2, 48_000), 1000, np.int16), "s16", "stereo", 48_000)
    assert len(mixed(first, second)) == 32_000


def test_surround_keeps_the_voice_in_the_middle() -> None:
    table = np.zeros((6, 4_800), np.float32)
    table[2] = 0.5
    assert np.abs(mixed(frame_of(table, "flt", "5.1", 48_000))[200:-200]).min() > 2_000


def test_more_planes_than_can_be_converted_are_refused() -> None:
    frame = AudioFrame(format="fltp", layout="65 channels", samples=100)
    frame.sample_rate = 16_000
    with pytest.raises(MediaError) as caught:
        mixed(frame)
    assert caught.value.code == "undecodable"


def stereo(left: np.ndarray, right: np.ndarray) -> AudioFrame:
    return frame_of(np.stack([left, right]).astype(np.float32), "flt", "stereo")


TONE = (0.5 * np.sin(np.arange(32_000) / 9)).astype(np.float32)


@pytest.mark.parametrize("share", [-1.0, -0.7])
def test_a_channel_that_cancels_the_other_out_is_inverted(share: float) -> None:
    heard = mixed(stereo(TONE, share * TONE)).astype(float) / 32_768
    assert np.abs(heard - TONE * (1 - share) / 2).max() < 0.001


def test_a_channel_without_sound_takes_nothing_from_the_other() -> None:
    for frame in (stereo(TONE, 0 * TONE), stereo(0 * TONE, TONE)):
        assert np.abs(mixed(frame).astype(float) / 32_768 - TONE / 2).max() < 0.001


def test_a_voice_in_the_middle_is_kept_beside_louder_sound_that_cancels_itself_out() -> None:
    wide = np.random.default_rng(1).normal(0, 0.3, len(TONE)).astype(np.float32)
    heard = mixed(stereo(0.3 * TONE + wide, 0.3 * TONE - wide)).astype(float) / 32_768
    assert np.corrcoef(heard, TONE)[0, 1] > 0.9


def test_the_front_channels_of_surround_sound_do_not_cancel_each_other_out() -> None:
    table = np.zeros((6, len(TONE)), np.float32)
    table[0], table[1] = TONE, -TONE
    assert np.abs(mixed(frame_of(table, "flt", "5.1"))).max() > 4_000


def test_channels_that_fall_out_of_phase_on_the_way_are_heard_on_both_sides() -> None:
    mixer = Mixer()
    parts = [*mixer.take(stereo(TONE, TONE)), *mixer.take(stereo(TONE, -TONE)), *mixer.drain()]
    heard = np.concatenate(parts)
    assert np.abs(heard[:32_000]).max() > 0.4
    assert np.abs(heard[-16_000:]).max() > 0.4
    assert 0 < mixer.inverted_samples <= 33_000


@pytest.mark.parametrize("fault", [np.nan, np.inf, -np.inf, 3e38])
@pytest.mark.parametrize(("kind", "rate"), [("flt", 16_000), ("flt", 48_000), ("dbl", 44_100)])
def test_a_float_that_is_no_number_harms_only_what_is_next_to_it(fault: float, kind: str, rate: int) -> None:
    table = np.full((2, 2 * rate), 0.25, np.float64 if kind == "dbl" else np.float32)
    table[0, rate] = fault
    mixer = Mixer()
    heard = np.concatenate([*mixer.take(frame_of(table, kind, "stereo", rate)), *mixer.drain()])
    assert np.isfinite(heard).all()
    assert abs(len(heard) - 32_000) < 50
    assert np.abs(np.r_[heard[1_000:15_000], heard[17_000:31_000]] - 0.25).max() < 0.01


def test_floats_that_are_no_numbers_in_planes_of_their_own_are_mixed() -> None:
    table = np.full((12, 1600), np.nan, np.float32)
    table[3] = 0.6
    packed = frame_of(table, "flt", "12 channels")
    [planar] = AudioResampler(format="fltp", layout=packed.layout, rate=16_000).resample(packed)
    for frame in (packed, planar):
        assert np.abs(mixed(frame).astype(int) - round(0.05 * 32_768)).max() <= 1
