"""What a file's own structure tells: where recordings begin in it, and whether bytes are missing."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import cast

import pytest

from transcription.adapters.spans import Span, search, spans_of

SECOND = bytes(32_000)


def wave(sound: bytes = SECOND * 2, *, size: int | None = None, before: bytes = b"", after: bytes = b"") -> bytes:
    """A WAV file at 16 kHz, mono; `size` is what its header says."""
    said = len(sound) if size is None else size
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 16_000, 32_000, 2, 16)
    body = b"WAVE" + form + before + struct.pack("<4sI", b"data", said) + sound + after
    return struct.pack("<4sI", b"RIFF", len(body)) + body


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack("<4sI", name, len(content)) + content + bytes(len(content) % 2)


def page(flags: int, content: bytes = b"sound", lacking: int = 0) -> bytes:
    return b"OggS\0" + bytes([flags]) + bytes(20) + bytes([1, len(content) + lacking]) + content


def spans(tmp_path: Path, content: bytes) -> list[Span]:
    (tmp_path / "file").write_bytes(content)
    return spans_of(tmp_path / "file", lambda: None)


@pytest.mark.parametrize(
    "content",
    [
        wave(),
        wave(size=0),
        wave(size=0xFFFFFFFF),
        wave(size=0x7FFFFFFF),
        wave(SECOND + b"\0", after=b"\0" + chunk(b"LIST", b"INFO")),
        wave(SECOND + b"\0", after=chunk(b"LIST", b"INFO")),
        wave(before=chunk(b"iXML", b" " * 400_001), after=chunk(b"id3 ", b"abc")),
        wave(after=bytes(3)),
    ],
)
def test_a_whole_wav_file_is_one_recording_and_not_cut(content: bytes, tmp_path: Path) -> None:
    [span] = spans(tmp_path, content)
    assert (span.start, span.end, span.is_cut, span.length_ignored) == (0, len(content), False, False)


@pytest.mark.parametrize("before", [b"", chunk(b"bext", bytes(100_000))])
def test_a_wav_file_is_cut_when_its_sound_is(before: bytes, tmp_path: Path) -> None:
    [span] = spans(tmp_path, wave(SECOND * 10, before=before)[:-96_000])
    assert span.is_cut
    assert span.promised_seconds == 10


def test_a_wav_file_whose_sound_goes_on_behind_the_size_in_its_header_is_read_to_the_end(tmp_path: Path) -> None:
    [span] = spans(tmp_path, wave(SECOND * 5, size=32_000))
    assert span.length_ignored


@pytest.mark.parametrize("size", [None, 0xFFFFFFFF])
def test_wav_files_one_after_another_are_recordings_of_their_own(size: int | None, tmp_path: Path) -> None:
    first = wave(size=size)
    content = first + wave(SECOND * 3) + wave(SECOND)
    assert [span.start for span in spans(tmp_path, content)] == [0, len(first), len(content) - len(wave(SECOND))]


def test_the_links_of_a_chained_ogg_file_are_recordings_of_their_own(tmp_path: Path) -> None:
    link = page(2) + page(2) + page(0) + page(4)
    assert [span.start for span in spans(tmp_path, link * 3)] == [0, len(link), 2 * len(link)]


def test_an_ogg_file_is_cut_when_its_last_page_is(tmp_path: Path) -> None:
    whole = page(2) + page(0)
    assert not spans(tmp_path, whole)[-1].is_cut
    for end in (1, 20, 30):
        assert spans(tmp_path, whole + page(0)[:end])[-1].is_cut == (end > 5)


def test_damage_between_ogg_pages_hides_no_link(tmp_path: Path) -> None:
    link = page(2) + page(0)
    assert len(spans(tmp_path, link + b"damage" * 100 + link)) == 2


def test_an_avi_file_is_cut_when_its_last_chunk_is(tmp_path: Path) -> None:
    whole = struct.pack("<4sI", b"RIFF", 1004) + b"AVI " + bytes(1000)
    assert not spans(tmp_path, whole)[0].is_cut
    assert spans(tmp_path, whole[:-10])[0].is_cut
    assert not spans(tmp_path, whole[:4] + bytes(4) + whole[8:])[0].is_cut


@pytest.mark.parametrize("said", [0x80000001, 2_500_000_000, 0xFFFEFFFF])
def test_a_size_of_more_than_two_gigabytes_is_a_size(said: int, tmp_path: Path) -> None:
    [span] = spans(tmp_path, wave(size=said))
    assert span.is_cut
    assert span.promised_seconds == said / 32_000
    assert spans(tmp_path, struct.pack("<4sI", b"RIFF", said) + b"AVI " + bytes(1000))[0].is_cut


@pytest.mark.parametrize("said", [0, 0x7FFF0000, 0x7FFFFFFF, 0x80000000, 0xFFFF0000, 0xFFFFFFD7, 0xFFFFFFFF])
def test_a_size_that_stands_for_as_much_as_there_is_cuts_nothing(said: int, tmp_path: Path) -> None:
    assert not spans(tmp_path, wave(size=said))[0].is_cut
    assert not spans(tmp_path, struct.pack("<4sI", b"RIFF", said) + b"AVI " + bytes(1000))[0].is_cut


@pytest.mark.parametrize("content", [b"ID3\x03\x00", b"ID3", b"\xff\xfb", b"\xff\xfb\x90", b"ID3\x03\0\0\0\0\0"])
def test_the_beginning_of_an_mp3_file_is_not_cut(content: bytes, tmp_path: Path) -> None:
    assert spans(tmp_path, content) == [Span(0, len(content))]


@pytest.mark.parametrize("pad", [b"", b"\0"])
@pytest.mark.parametrize("tag", [b"TAG", b"APETAGEX", b"ID3\x04\0\0", b"LYRICSBEGIN"])
def test_a_tag_behind_the_sound_is_not_heard(tag: bytes, pad: bytes, tmp_path: Path) -> None:
    [span] = spans(tmp_path, wave() + pad + tag + b"\1" * 300_000)
    assert not span.length_ignored


def test_in_a_wav_file_full_of_zeros_no_chunk_is_looked_for(tmp_path: Path) -> None:
    ticks: list[None] = []
    (tmp_path / "file").write_bytes(wave()[:12] + bytes(1_000_000))
    spans_of(tmp_path / "file", lambda: ticks.append(None))
    assert 0 < len(ticks) < 10


@pytest.mark.parametrize("before", [True, False])
def test_looking_through_many_chunks_is_told_as_work(before: bool, tmp_path: Path) -> None:
    ticks: list[None] = []
    chunks = chunk(b"JUNK", b"") * 1000
    (tmp_path / "file").write_bytes(wave(before=chunks) if before else wave(after=chunks))
    spans_of(tmp_path / "file", lambda: ticks.append(None))
    assert len(ticks) >= 1000


class Counted(io.BytesIO):
    """A file that counts what is read of it."""

    count = 0

    def read(self, size: int | None = -1, /) -> bytes:
        found = super().read(size)
        self.count += len(found)
        return found


def test_what_is_found_again_and_again_is_searched_for_with_little_reading() -> None:
    file = Counted(b"WAVEfmt " * 2_000)
    at: int | None = 0
    found = 0
    while at is not None:
        at = search(cast(io.BufferedReader, file), at + 1, b"WAVEfmt ", lambda: None)
        found += at is not None
    assert found == 1_999
    assert file.count < 300 * found


def test_what_is_far_away_is_found_across_the_blocks_that_are_read() -> None:
    for distance in [*range(240, 260), *range(750, 770), 5_000_003]:
        file = cast(io.BufferedReader, io.BytesIO(bytes(distance) + b"fLaC"))
        assert search(file, 0, b"fLaC", lambda: None) == distance
