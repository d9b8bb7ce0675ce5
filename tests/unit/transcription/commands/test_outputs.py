"""Where exports go, and that nothing of the user's is lost on the way."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from clustercore.terminal.adapters import privacy
from clustercore.terminal.adapters.privacy import keep_private
from clustercore.terminal.domain.endings import CommandError
from transcription.commands.outputs import (
    Exporting,
    checked_directory,
    checked_formats,
    file_name,
    write_beside,
    write_exports,
)
from transcription.domain.transcript import Segment, Transcript

TRANSCRIPT = Transcript((Segment(0.0, 1.5, "good morning"),), "en", 1.5)


def test_exports_lie_beside_the_recording(tmp_path: Path) -> None:
    written = write_exports(TRANSCRIPT, tmp_path / "talk.mp3", Exporting(["txt", "srt"], None))

    assert written == {"txt": tmp_path / "talk.txt", "srt": tmp_path / "talk.srt"}
    assert written["txt"].read_text() == "good morning\n"


@pytest.mark.parametrize("name", ["Interview 12.03.2024", "1.1 Lesson name", "v1.2", ".hidden", "talk.2024.final"])
@pytest.mark.parametrize("ending", ["", ".mp3"])
def test_a_name_with_dots_keeps_them(tmp_path: Path, name: str, ending: str) -> None:
    written = write_exports(TRANSCRIPT, tmp_path / (name + ending), Exporting(["srt"], None))

    assert written == {"srt": tmp_path / f"{name}.srt"}


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_who_may_read_an_export_is_said_by_the_users_umask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, umask: int
) -> None:
    before = os.umask(umask)
    monkeypatch.setattr(privacy, "_USERS", replace(privacy._USERS))
    try:
        keep_private()
        directory = checked_directory(tmp_path / "texts")
        written = write_exports(TRANSCRIPT, tmp_path / "talk.mp3", Exporting(["txt"], directory))
        (tmp_path / "ours").touch()
    finally:
        os.umask(before)
    assert stat.S_IMODE(written["txt"].stat().st_mode) == 0o666 & ~umask
    assert stat.S_IMODE(written["txt"].parent.stat().st_mode) == 0o777 & ~umask
    assert stat.S_IMODE((tmp_path / "ours").stat().st_mode) == 0o600


def test_a_file_with_another_content_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "talk.txt").write_text("mine")
    (tmp_path / "talk.2.txt").write_text("mine too")

    assert write_beside(tmp_path, "talk", "txt", "new") == tmp_path / "talk.3.txt"
    assert (tmp_path / "talk.txt").read_text() == "mine"


def test_the_same_text_again_makes_no_further_file(tmp_path: Path) -> None:
    first = write_beside(tmp_path, "talk", "txt", "text")

    assert write_beside(tmp_path, "talk", "txt", "text") == first
    assert list(tmp_path.iterdir()) == [first]


def test_force_overwrites(tmp_path: Path) -> None:
    (tmp_path / "talk.txt").write_text("mine")

    assert write_beside(tmp_path, "talk", "txt", "new", force=True).read_text() == "new"


def test_both_kinds_of_json_have_names_of_their_own(tmp_path: Path) -> None:
    written = write_exports(TRANSCRIPT, tmp_path / "a.wav", Exporting(["json", "verbose_json"], None))

    assert {path.name for path in written.values()} == {"a.json", "a.verbose.json"}


def test_where_nothing_can_be_written_beside_it_the_current_directory_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    written = write_exports(TRANSCRIPT, Path("/proc/talk.mp3"), Exporting(["txt"], None))

    assert written["txt"] == tmp_path / "talk.txt"


@pytest.mark.parametrize("letter", ["a", "ü", "語", "🎤"])
def test_a_name_as_long_as_the_file_system_allows_still_gets_its_exports(tmp_path: Path, letter: str) -> None:
    stem = letter * (251 // len(letter.encode()))

    path = write_beside(tmp_path, stem, "verbose.json", "{}")

    assert path.exists()
    assert path.name.endswith(".verbose.json")
    assert path.name.removesuffix(".verbose.json") in stem


def test_a_short_name_is_not_changed() -> None:
    assert file_name("a\nb [red]", "txt") == "a\nb [red].txt"


def test_formats_may_be_repeated_or_listed() -> None:
    assert checked_formats(["vtt,SRT", "vtt"]) == ["vtt", "srt"]
    assert checked_formats([]) == ["txt", "srt"]


def test_an_unknown_format_is_refused_with_those_there_are() -> None:
    with pytest.raises(CommandError, match=r"pdf.*verbose_json"):
        checked_formats(["pdf"])
