"""What of a file is decoded, and what is said of its end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.fakes.transcription.recordings import encode
from transcription.adapters.decoding import Decoder, Health
from transcription.adapters.surveying import Source, declared_seconds, survey

RATE = 48_000
SECONDS = 2


def tone(channels: int = 1) -> np.ndarray:
    one = 0.3 * np.sin(np.arange(SECONDS * RATE) / 20)
    return np.stack([one] * channels).astype(np.float32)


def bytes_of(kind: str, directory: Path) -> bytes:
    return encode(tone(), RATE, kind, directory / "one").read_bytes()


def heard(content: bytes, directory: Path) -> tuple[float, Health, Source]:
    """Seconds that are decoded of a file, and what is told of it."""
    (directory / "file").write_bytes(content)
    source = survey(directory / "file", None, lambda: None)
    decoder = Decoder(source, 3600.0)
    return sum(map(len, decoder.blocks())) / 16_000, decoder.health, source


@pytest.mark.parametrize(("kind", "left"), [("ogg-opus", 40), ("ogg-opus", 150), ("flac", 60), ("wav", 44), ("wav", 20)])
def test_a_later_link_that_cannot_be_opened_costs_nothing_of_the_others(kind: str, left: int, tmp_path: Path) -> None:
    whole = bytes_of(kind, tmp_path)
    seconds, health, source = heard(whole + whole[:left], tmp_path)
    assert seconds == pytest.approx(SECONDS, abs=0.05)
    assert health.broke_off
    assert declared_seconds(source) == pytest.approx(SECONDS, abs=0.05)


def test_the_promise_of_a_last_link_without_its_sound_is_told(tmp_path: Path) -> None:
    whole = bytes_of("wav", tmp_path)
    head = whole.index(b"data") + 8
    _, health, _ = heard(whole + whole[:head], tmp_path)
    assert health.promised_seconds == pytest.approx(2 * SECONDS)


def test_a_link_without_sound_in_the_middle_is_passed_over(tmp_path: Path) -> None:
    whole = bytes_of("ogg-opus", tmp_path)
    soundless = b"OggS\0\2" + bytes(8) + b"abcd" + bytes(8) + b"\1\5nosou"
    seconds, health, _ = heard(whole + soundless + whole, tmp_path)
    assert seconds == pytest.approx(2 * SECONDS, abs=0.05)
    assert not health.broke_off


def test_a_first_link_that_breaks_off_promises_nothing_for_the_whole(tmp_path: Path) -> None:
    whole = bytes_of("flac", tmp_path)
    _, health, _ = heard(whole[: len(whole) // 3] + whole, tmp_path)
    assert health.broke_off
    assert health.promised_seconds is None


def test_a_last_link_that_breaks_off_promises_the_length_of_all(tmp_path: Path) -> None:
    whole = bytes_of("wav", tmp_path)
    seconds, health, _ = heard(whole + whole[: len(whole) // 2], tmp_path)
    assert seconds == pytest.approx(1.5 * SECONDS, abs=0.05)
    assert health.promised_seconds == pytest.approx(2 * SECONDS, abs=0.05)


def test_a_whole_recording_promises_no_more_than_there_is(tmp_path: Path) -> None:
    _, health, _ = heard(bytes_of("m4a", tmp_path), tmp_path)
    assert not health.broke_off
    assert health.promised_seconds is None
