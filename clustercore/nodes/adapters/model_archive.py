"""Unpacking a model's zip archive without trusting it."""

from __future__ import annotations

import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from clustercore.nodes.domain.model_catalogue import ModelStoreError

MAXIMUM_FILES = 10_000
MAXIMUM_RATIO = 20
"""Unpacked bytes per packed byte; acoustic models reach 2."""
SLACK = 10_000_000
BLOCK = 1 << 20


def unpack(archive: Path, target: Path) -> None:
    """Unpacks into `target`, a new folder, without the one folder that usually wraps it all.

    Raises ModelStoreError `model_corrupt` for a broken archive and `archive_unsafe` for one that names places outside,
    holds links, or is far bigger inside than outside.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [member for member in opened.infolist() if not member.is_dir()]
            paths = _stripped([_safe_path(member) for member in members])
            _refuse_bomb(archive, members)
            allowance = _allowance(archive)
            for member, path in zip(members, paths, strict=True):
                allowance -= _extract(opened, member, target / path, allowance)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise ModelStoreError("model_corrupt", f"{archive.name} is no whole zip archive ({error})") from error


def _safe_path(member: zipfile.ZipInfo) -> PurePosixPath:
    path = PurePosixPath(member.filename)
    outside = path.is_absolute() or ".." in path.parts or any(mark in member.filename for mark in "\\:\0")
    if outside or not path.parts:
        raise ModelStoreError("archive_unsafe", f"the archive names a place outside its folder: {member.filename!r}")
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise ModelStoreError(
            "archive_unsafe", f"the archive holds something that is no plain file: {member.filename!r}"
        )
    if member.flag_bits & 0x1:
        raise ModelStoreError("archive_unsafe", f"the archive is encrypted: {member.filename!r}")
    return path


def _stripped(paths: list[PurePosixPath]) -> list[PurePosixPath]:
    roots = {path.parts[0] for path in paths}
    if len(roots) == 1 and all(len(path.parts) > 1 for path in paths):
        return [PurePosixPath(*path.parts[1:]) for path in paths]
    return paths


def _allowance(archive: Path) -> int:
    return MAXIMUM_RATIO * archive.stat().st_size + SLACK


def _refuse_bomb(archive: Path, members: list[zipfile.ZipInfo]) -> None:
    if len(members) > MAXIMUM_FILES:
        raise ModelStoreError("archive_unsafe", f"the archive holds {len(members)} files; {MAXIMUM_FILES} are allowed")
    if sum(member.file_size for member in members) > _allowance(archive):
        raise ModelStoreError("archive_unsafe", f"the archive unpacks to more than {MAXIMUM_RATIO} times its size")


def _extract(opened: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, allowance: int) -> int:
    """What it wrote, in bytes; the sizes that an archive states are not believed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with opened.open(member) as source, target.open("xb") as file:
        while block := source.read(BLOCK):
            written += len(block)
            if written > allowance:
                raise ModelStoreError("archive_unsafe", f"{member.filename!r} is bigger than the archive states")
            file.write(block)
    return written
