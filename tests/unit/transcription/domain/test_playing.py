from __future__ import annotations

import io
import wave

import pytest

from transcription.domain.playing import playable_type, wave_header


@pytest.mark.parametrize(
    ("container", "codec", "media_type"),
    [
        ("mp3", "mp3float", "audio/mpeg"),
        ("mov,mp4,m4a,3gp,3g2,mj2", "aac", "audio/mp4"),
        ("mov,mp4,m4a,3gp,3g2,mj2", "alac", ""),
        ("ogg", "opus", "audio/ogg"),
        ("ogg", "libopus", "audio/ogg"),
        ("matroska,webm", "opus", "audio/webm"),
        ("matroska,webm", "ac3", ""),
        ("asf", "wmav2", ""),
        ("wav", "pcm_s16le", "audio/wav"),
        ("wav", "adpcm_ms", ""),
        ("", "", ""),
        ("text/html", "opus", ""),
    ],
)
def test_what_a_browser_plays_is_told_by_what_was_found(container: str, codec: str, media_type: str) -> None:
    assert playable_type(container, codec) == media_type


def test_the_header_is_one_that_wave_readers_understand() -> None:
    with wave.open(io.BytesIO(wave_header(8_000, 16_000) + bytes(16_000))) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate(), file.getnframes()) == (
            1, 2, 16_000, 8_000,
        )  # fmt: skip
