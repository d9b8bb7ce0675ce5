from __future__ import annotations

import errno
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from clustercore.nodes.adapters.spool import DirectorySpool, DirectorySpools, spool_directory


def test_what_is_put_survives_the_process_and_comes_back_oldest_first(tmp_path: Path) -> None:
    spool = DirectorySpool(tmp_path / "spool")
    spool.put("unit 12/1", {"text": "first"})
    spool.put("unit 3/1", {"text": "second"})
    again = DirectorySpool(tmp_path / "spool")
    again.put("unit 1/1", {"text": "third"})
    assert [name for name, _ in again.items()] == ["unit 12/1", "unit 3/1", "unit 1/1"]
    assert again.items()[0] == ("unit 12/1", {"text": "first"})


def test_a_second_put_replaces_and_keeps_the_place(tmp_path: Path) -> None:
    spool = DirectorySpool(tmp_path)
    spool.put("a", {"n": 1})
    spool.put("b", {"n": 1})
    spool.put("a", {"n": 2})
    assert spool.items() == [("a", {"n": 2}), ("b", {"n": 1})]


def test_names_that_look_alike_as_files_are_kept_apart(tmp_path: Path) -> None:
    spool = DirectorySpool(tmp_path)
    spool.put("unit/1", {"n": 1})
    spool.put("unit?1", {"n": 2})
    spool.remove("unit/1")
    assert spool.items() == [("unit?1", {"n": 2})]


def test_removing_what_is_not_there_does_nothing(tmp_path: Path) -> None:
    DirectorySpool(tmp_path).remove("nothing")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"name": "x"}', b"\xff"])
def test_an_unreadable_document_is_set_aside_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    spool = DirectorySpool(tmp_path)
    spool.put("sound", {})
    broken = tmp_path / "00000000000000000001-broken.json"
    broken.write_bytes(content)
    with caplog.at_level(logging.ERROR):
        assert spool.items() == [("sound", {})]
    assert "set aside" in caplog.text
    assert broken.with_suffix(".broken").exists()
    assert spool.items() == [("sound", {})]


def test_a_document_half_written_when_the_power_failed_is_not_seen(tmp_path: Path) -> None:
    spool = DirectorySpool(tmp_path)
    spool.put("sound", {})
    (tmp_path / "00000000000000000009-half.writing").write_bytes(b'{"name": "ha')
    assert spool.items() == [("sound", {})]


def test_a_document_that_is_not_json_leaves_nothing_behind(tmp_path: Path) -> None:
    spool = DirectorySpool(tmp_path)
    with pytest.raises(ValueError, match="JSON"):
        spool.put("a", {"n": float("nan")})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["..", ".", "a/b", "c:\\d", "con.", "*"])
def test_every_node_name_is_one_folder_of_its_own(tmp_path: Path, name: str) -> None:
    directory = spool_directory(tmp_path, name)
    assert directory.parent == tmp_path / "spool"
    assert not set(directory.name) & set('./\\:*?"<>|')


def made(directory: Path, name: str, content: bytes) -> Path:
    directory.mkdir(exist_ok=True)
    path = directory / name
    path.write_bytes(content)
    return path


def folders(spool: Path) -> list[str]:
    return [path.suffix for path in spool.rglob("*") if path.is_dir() and path.suffix]


def test_a_documents_files_outlive_the_workspace_they_were_made_in_and_go_with_the_document(tmp_path: Path) -> None:
    page = made(tmp_path / "workspace", "page.png", b"a page")
    spool = DirectorySpool(tmp_path / "spool")
    spool.put("a", {"n": 1}, {"ab12": page})
    page.unlink()
    again = DirectorySpool(tmp_path / "spool")
    assert again.file("a", "ab12").read_bytes() == b"a page"
    again.remove("a")
    assert list((tmp_path / "spool").iterdir()) == []


def test_where_the_file_system_has_no_links_files_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EXDEV, "another file system")

    monkeypatch.setattr(os, "link", refuse)
    spool = DirectorySpool(tmp_path / "spool")
    spool.put("a", {}, {"ab12": made(tmp_path / "workspace", "page.png", b"a page")})
    assert spool.file("a", "ab12").read_bytes() == b"a page"


def test_a_document_whose_files_find_no_room_leaves_nothing_behind(tmp_path: Path) -> None:
    spool = DirectorySpool(tmp_path / "spool")
    with pytest.raises(OSError):
        spool.put("a", {}, {"ab12": tmp_path / "never made"})
    assert list((tmp_path / "spool").iterdir()) == []


def test_files_of_what_is_too_old_go_with_it(tmp_path: Path) -> None:
    spool = DirectorySpool(tmp_path / "spool")
    spool.put("a", {}, {"ab12": made(tmp_path / "workspace", "page.png", b"a page")})
    spool.forget_older_than(-1)
    assert list((tmp_path / "spool").iterdir()) == []


KILLED_BETWEEN = """
import os, signal, sys
from pathlib import Path
from clustercore.nodes.adapters.spool import DirectorySpool, DirectorySpools
DirectorySpool._write = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
DirectorySpools(Path(sys.argv[1])).of("hub").put("a", {}, {"ab12": Path(sys.argv[2])})
"""


def test_files_that_were_kept_when_the_process_was_killed_before_their_document_go_at_the_next_start(
    tmp_path: Path,
) -> None:
    page = made(tmp_path / "workspace", "page.png", b"a page")
    directory = tmp_path / "spool"
    killed = subprocess.run([sys.executable, "-c", KILLED_BETWEEN, directory, page], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert folders(directory) == [".files"]
    spools = DirectorySpools(directory)
    assert spools.hubs() == []
    spools.of("hub").put("b", {}, {"cd34": page})
    spools.forget_unfinished()
    assert spools.of("hub").file("b", "cd34").exists()
    assert folders(directory) == [".files"], "only what a document names is left"


def test_what_is_set_aside_is_found_by_a_person_alone_and_keeps_its_files(tmp_path: Path) -> None:
    spools = DirectorySpools(tmp_path)
    spool = spools.of("hub")
    spool.put("a", {"n": 1}, {"ab12": made(tmp_path / "workspace", "page.png", b"a page")})
    spool.set_aside("a")
    spool.set_aside("nothing")
    spools.forget_unfinished()
    assert (spool.items(), spools.hubs()) == ([], [])
    (aside,) = tmp_path.rglob("*.broken")
    assert (aside.with_suffix(".files") / "ab12").read_bytes() == b"a page"
