from __future__ import annotations

import stat
import zipfile
from pathlib import Path

import pytest

from clustercore.nodes.adapters.model_archive import unpack
from clustercore.nodes.domain.model_catalogue import ModelStoreError


def archive_of(path: Path, members: dict[str, bytes], mode: int = 0) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            member = zipfile.ZipInfo(name)
            member.external_attr = mode << 16
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, content)
    return path


def code_of_unpacking(archive: Path, target: Path) -> str:
    with pytest.raises(ModelStoreError) as caught:
        unpack(archive, target)
    return caught.value.code


def test_the_folder_that_wraps_it_all_is_left_out(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "m.zip", {"model-0.1/am/final.mdl": b"x", "model-0.1/README": b"y"})
    unpack(archive, tmp_path / "out")
    assert (tmp_path / "out/am/final.mdl").read_bytes() == b"x"
    assert (tmp_path / "out/README").read_bytes() == b"y"


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/evil", "C:/evil", "a\\..\\..\\evil"])
def test_a_name_that_leads_outside_is_refused(tmp_path: Path, name: str) -> None:
    archive = archive_of(tmp_path / "m.zip", {"good": b"x", name: b"x"})
    assert code_of_unpacking(archive, tmp_path / "out") == "archive_unsafe"
    assert not list(tmp_path.rglob("evil"))


def test_a_link_is_refused(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "m.zip", {"a/link": b"/etc/passwd"}, mode=stat.S_IFLNK | 0o777)
    assert code_of_unpacking(archive, tmp_path / "out") == "archive_unsafe"


def test_an_archive_far_bigger_inside_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "m.zip", {"zeros": bytes(40_000_000)})
    assert code_of_unpacking(archive, tmp_path / "out") == "archive_unsafe"
    assert not (tmp_path / "out/zeros").exists()


def test_a_truncated_archive_is_corrupt(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "m.zip", {"a/b": b"content"})
    archive.write_bytes(archive.read_bytes()[:-30])
    assert code_of_unpacking(archive, tmp_path / "out") == "model_corrupt"


def test_an_archive_with_a_flipped_byte_is_corrupt(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "m.zip", {"a": bytes(range(256)) * 50})
    content = bytearray(archive.read_bytes())
    content[60] ^= 0xFF
    archive.write_bytes(content)
    assert code_of_unpacking(archive, tmp_path / "out") == "model_corrupt"
