"""The files of one model on this machine's disk: where they lie, what they must be, and how they come to their place.

A model lies in `<models_directory>/<engine>/<model>/` with `checksums.json` beside its files. Until it is whole it lies
in `.partial/`, and what was found to be corrupt in `.quarantine/`. Engines look at neither.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from clustercore.nodes.adapters.model_archive import unpack
from clustercore.nodes.adapters.model_download import sha256_of
from clustercore.nodes.domain.model_catalogue import ModelStoreError, split_label
from clustercore.nodes.domain.model_record import CHECKSUMS

PARTIAL = ".partial"
QUARANTINE = ".quarantine"
UNFINISHED = ".cache"
"""Where the client of the hub of models keeps, in a model's partial folder, what it knows of a download."""


def places(label: str, models_directory: Path) -> tuple[Path, Path]:
    """Returns where a model will lie, and where it lies until it is whole."""
    engine, model = split_label(label)
    return models_directory / engine / model, models_directory / engine / PARTIAL / model


def leave_only(names: Iterable[str], staging: Path) -> None:
    """Removes what another source or another version of the model left; what continues this one stays."""
    wanted = {kept for name in names for kept in (name, f"{name}.etag")}
    for name, path in files_in(staging).items():
        if name not in wanted and not name.startswith(f"{UNFINISHED}/"):
            path.unlink()


def files_in(directory: Path) -> dict[str, Path]:
    """Returns name, relative to `directory`, to path. A link counts as what it leads to, even where that is gone."""
    found = sorted(path for path in directory.rglob("*") if path.is_file() or path.is_symlink())
    return {path.relative_to(directory).as_posix(): path for path in found}


def size_of(path: Path) -> int:
    """Returns the bytes of a file, or of all files below a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(one.stat().st_size for one in path.rglob("*") if one.is_file())


def read_record(folder: Path) -> dict[str, Any] | None:
    """Returns what is written beside a model; None where that is nothing, or no record."""
    try:
        record = json.loads((folder / CHECKSUMS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and isinstance(record.get("files"), dict) else None


def mismatches(folder: Path, record: Mapping[str, Any]) -> list[str]:
    """Returns what is wrong with each recorded file that is not as its record says."""
    wrong = []
    for name, wanted in record["files"].items():
        path = folder / name
        if not path.is_file():
            wrong.append(f"{name} is missing")
        elif path.stat().st_size != wanted["size"] or sha256_of(path) != wanted["sha256"]:
            wrong.append(f"{name} was changed")
    return wrong


def forget_downloads(names: Iterable[str], staging: Path) -> None:
    """Removes what would have continued the downloads of files that are whole."""
    shutil.rmtree(staging / UNFINISHED, ignore_errors=True)
    for tag in {f"{name}.etag" for name in names} - set(names):
        (staging / tag).unlink(missing_ok=True)


def write_record(label: str, source: str, staging: Path, verified: Mapping[str, str]) -> None:
    """Writes beside the files what each is, and what it was compared with."""
    files = {name: {"sha256": sha256_of(path), "size": path.stat().st_size} for name, path in files_in(staging).items()}
    record = {"label": label, "source": source, "verified_against": dict(verified), "files": files}
    (staging / CHECKSUMS).write_text(json.dumps(record, indent=2, sort_keys=True), encoding="utf-8")


def unpack_in_place(name: str, staging: Path) -> None:
    """Puts what an archive in the partial folder holds in the place of all that lies there. Raises ModelStoreError."""
    unpacked = staging.with_name(staging.name + ".unpacked")
    shutil.rmtree(unpacked, ignore_errors=True)
    unpacked.mkdir()
    try:
        unpack(staging / name, unpacked)
    except ModelStoreError:
        shutil.rmtree(unpacked)
        quarantine(staging)
        raise
    shutil.rmtree(staging)
    unpacked.rename(staging)


def put_in_place(staging: Path, folder: Path) -> None:
    """Makes a whole model the one that engines see. Raises ModelStoreError `model_in_use`."""
    old = staging.with_name(staging.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    try:
        if folder.exists():
            folder.rename(old)
    except PermissionError as error:
        raise in_use(folder) from error
    staging.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def quarantine(path: Path) -> Path:
    """Moves a model, or what was to be one, aside; the newer evidence replaces the older, so that it fills no disk."""
    root = path.parent.parent if path.parent.name == PARTIAL else path.parent
    target = root / QUARANTINE / path.name
    shutil.rmtree(target, ignore_errors=True)
    target.parent.mkdir(exist_ok=True)
    path.rename(target)
    return target


def in_use(folder: Path) -> ModelStoreError:
    """Returns what to say of a model whose files cannot be moved."""
    # Windows does not let go of files that a process has open.
    return ModelStoreError("model_in_use", f"{folder} cannot be changed: stop this machine's node, and type it again")
