from __future__ import annotations

import pytest

from transcription.domain.naming import LONGEST_STEM_BYTES, download_name


@pytest.mark.parametrize(
    ("name", "ending", "kept"),
    [
        ("talk.mp3", "srt", "talk.srt"),
        ("talk.mp3", "", "talk.mp3"),
        ("Gespräch 日本.final.m4a", "txt", "Gespräch 日本.final.txt"),
        ("../../etc/passwd", "txt", "etc passwd.txt"),
        ("C:\\talk.wav", "txt", "C talk.txt"),
        ('a"; filename="evil.html\r\nSet-Cookie: x.mp3', "vtt", "a ; filename= evil.html Set-Cookie x.vtt"),
        ("gnp.\u202etxt.exe", "txt", "gnp. txt.txt"),
        ("...", "txt", "transcript.txt"),
        ("", "", "transcript"),
        ("-rf", "txt", "rf.txt"),
    ],
)
def test_a_name_is_safe_on_every_system(name: str, ending: str, kept: str) -> None:
    assert download_name(name, ending) == kept


def test_a_long_name_is_cut_between_characters() -> None:
    name = download_name("ä" * 5000 + ".mp3", "srt")
    assert name == "ä" * (LONGEST_STEM_BYTES // 2) + ".srt"
