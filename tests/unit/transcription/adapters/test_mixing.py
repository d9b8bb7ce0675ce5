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
    return np.concatenate(parts)


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
