from __future__ import annotations

import pytest

from transcription.domain.naming import LONGEST_STEM_BYTES, download_name, stem_and_ending


@pytest.mark.parametrize(
    ("name", "ending", "kept"),
    [
        ("talk.mp3", "srt", "talk.srt"),
        ("talk.mp3", "", "talk.mp3"),
        ("Gespräch 日本.final.m4a", "txt", "Gespräch 日本.final.txt"),
        ("../../etc/passwd", "txt", "etc passwd.txt"),
        ("C:\\talk.wav", "txt", "C talk.txt"),
        ('a"; filename="evil.html\r\nSet-Cookie: x.mp3', "vtt", "a ; filename= evil.html Set-Cookie x.vtt"),
        ("gnp.\u202etxt.exe", "txt", "gnp. txt.exe.txt"),
        ("...", "txt", "transcript.txt"),
        ("", "", "transcript"),
        ("-rf", "txt", "rf.txt"),
        ("Interview 12.03.2024", "srt", "Interview 12.03.2024.srt"),
        ("1.1 Lesson name", "srt", "1.1 Lesson name.srt"),
        ("talk.2024.final.MP3", "vtt", "talk.2024.final.vtt"),
        ("v1.2", "", "v1.2"),
        (".hidden", "txt", ".hidden.txt"),
        (".hidden.wav", "txt", ".hidden.txt"),
        (".wav", "txt", ".wav.txt"),
        ("CON.wav", "srt", "CON_.srt"),
        ("con", "txt", "con_.txt"),
        ("nul .2024.mp3", "vtt", "nul_.2024.vtt"),
        ("LPT\u00b9.mp3", "", "LPT\u00b9_.mp3"),
        ("COM1", "partial.srt", "COM1_.partial.srt"),
        ("conference.wav", "srt", "conference.srt"),
        ("talk.con.wav", "srt", "talk.con.srt"),
        ("archive.tar.gz", "txt", "archive.tar.gz.txt"),
        ("👨\u200d👩\u200d👧.wav", "txt", "👨\u200d👩\u200d👧.txt"),
    ],
)
def test_a_name_is_safe_on_every_system(name: str, ending: str, kept: str) -> None:
    assert download_name(name, ending) == kept


def test_a_long_name_is_cut_between_characters() -> None:
    name = download_name("ä" * 5000 + ".mp3", "srt")
    assert name == "ä" * (LONGEST_STEM_BYTES // 2) + ".srt"


@pytest.mark.parametrize("name", ["Interview 12.03.2024", "v1.2", ".hidden", "1.1 Lesson name", "talk.final", "a.", ""])
def test_only_the_ending_of_a_recording_or_of_a_text_is_one(name: str) -> None:
    assert stem_and_ending(name) == (name, "")
    assert stem_and_ending(f"x{name}.Wav") == (f"x{name}", "Wav")
