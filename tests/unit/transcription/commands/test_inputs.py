"""Which files the words of a command line mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from clustercore.terminal.domain.endings import CommandError, ExitCode
from transcription.commands.inputs import files_meant, without_texts


def made(directory: Path, *names: str) -> list[Path]:
    paths = [directory / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"sound")
    return paths


def test_a_directory_means_the_media_below_it(tmp_path: Path) -> None:
    wanted = made(tmp_path, "a.mp3", "deep/er/b.FLAC")
    made(tmp_path, "notes.txt", ".hidden/c.wav", ".d.wav")

    assert files_meant([str(tmp_path)]) == wanted


def test_a_file_named_by_itself_is_taken_whatever_its_ending(tmp_path: Path) -> None:
    [path] = made(tmp_path, "recording.bin")

    assert files_meant([str(path)]) == [path]


def test_a_quoted_pattern_is_matched_here(tmp_path: Path) -> None:
    wanted = made(tmp_path, "a1.wav", "a2.wav")
    made(tmp_path, "b.wav")

    assert files_meant([str(tmp_path / "a*.wav")]) == wanted


def test_a_name_that_looks_like_a_pattern_means_the_file_of_that_name(tmp_path: Path) -> None:
    path, _ = made(tmp_path, "talk [1].wav", "talk 1.wav")

    assert files_meant([str(path)]) == [path]


def test_a_file_named_twice_is_taken_once(tmp_path: Path) -> None:
    [path] = made(tmp_path, "a.wav")

    assert files_meant([str(path), str(tmp_path), str(tmp_path / "x" / ".." / "a.wav")][:2]) == [path]


def test_every_word_that_means_nothing_is_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()

    with pytest.raises(CommandError) as refused:
        files_meant([str(tmp_path / "absent.mp3"), str(tmp_path / "empty.wav"), "/dev/null"])

    assert refused.value.code == ExitCode.USAGE
    for word in ("absent.mp3", "empty.wav", "/dev/null"):
        assert word in refused.value.message


def test_a_control_character_in_a_name_never_reaches_the_terminal(tmp_path: Path) -> None:
    with pytest.raises(CommandError) as refused:
        files_meant([str(tmp_path / "a\x1b[2Jb\nc.wav")])

    assert "\x1b" not in refused.value.message
    assert "\n" not in refused.value.message


def test_texts_of_an_earlier_run_are_left_out_when_a_pattern_takes_them_along() -> None:
    talk, text, captions = Path("talk.mp3"), Path("talk.txt"), Path("talk.SRT")

    assert without_texts(["talk.*"], [talk, text, captions]) == ([talk], [text, captions])


def test_a_text_named_by_itself_is_taken_and_texts_that_a_pattern_found_are_refused(tmp_path: Path) -> None:
    text, other = made(tmp_path, "a.txt", "b.txt")
    assert without_texts([str(text)], [text]) == ([text], [])
    for words in ([str(tmp_path / "*.txt")], [str(text), str(other)]):
        with pytest.raises(CommandError, match="2 texts and no recording") as refused:
            without_texts(words, [text, other])
        assert refused.value.code == ExitCode.USAGE


def test_what_is_bad_in_a_searched_directory_does_not_hold_up_the_rest(tmp_path: Path) -> None:
    [good] = made(tmp_path, "a.mp3")
    (tmp_path / "empty.wav").touch()
    (tmp_path / "broken.wav").symlink_to(tmp_path / "absent")
    left_out: list[str] = []

    assert files_meant([str(tmp_path)], left_out) == [good]
    assert len(left_out) == 2
    with pytest.raises(CommandError):
        files_meant([str(tmp_path), str(tmp_path / "empty.wav")])
