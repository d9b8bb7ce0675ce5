from __future__ import annotations

import logging
from pathlib import Path

import pytest

from clustercore.nodes.adapters.spool import DirectorySpool, spool_directory


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
