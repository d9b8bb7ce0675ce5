"""The models on this machine's disk: pull, list, verify, remove.

A model lies in `<models_directory>/<engine>/<model>/` with `checksums.json` beside its files. It is put there by one
rename, after everything in it was compared with its checksums; until then it lies in `.partial/`, and what was found to
be corrupt in `.quarantine/`. Engines look at neither.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import httpx

from clustercore.nodes.adapters.hub_models import HubModels
from clustercore.nodes.adapters.model_archive import unpack
from clustercore.nodes.adapters.model_download import Checksum, DownloadProgress, sha256_of
from clustercore.nodes.adapters.model_lock import alone_with
from clustercore.nodes.adapters.model_sources import Fetching, fetch
from clustercore.nodes.domain.model_catalogue import (
    CATALOGUE,
    CatalogueEntry,
    ModelStoreError,
    entry_for,
    is_plain_name,
    split_label,
)
from clustercore.nodes.domain.model_record import CHECKSUMS

PARTIAL = ".partial"
QUARANTINE = ".quarantine"
GIGABYTE = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PulledModel:
    """A model that now lies ready in `folder`."""

    label: str
    folder: Path
    size_bytes: int
    source: str
    verified: Mapping[str, str]
    """File name to what it was compared with: `catalogue`, `server`, `hub`, or `nothing` (recorded as it came).

    A file that was brought here by hand and is not the catalogue's is said to be `different`.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredModel:
    """A model as it lies on the disk. `state`: `ready`, `verified`, `unrecorded` (no checksums) or `quarantined`."""

    label: str
    folder: Path
    size_bytes: int
    state: str
    detail: str = ""


def pull(
    label: str,
    models_directory: Path,
    budget_gb: float,
    *,
    source: str | None = None,
    fetching: Fetching | None = None,
) -> PulledModel:
    """Brings a model here: from where the catalogue says, or from a folder or zip of this machine.

    `source` is a path or a `file:` address of this machine; without it `fetching` says from where and how. A model that
    is here already is replaced. Raises ModelStoreError: `model_unknown`, `label_invalid`, `budget_exceeded`,
    `disk_full`, `no_connection`, `download_refused`, `download_interrupted`, `package_missing`, `model_corrupt`,
    `archive_unsafe`, `source_missing`, `model_in_use`, `pull_running`.
    """
    with alone_with(label, models_directory):
        if source is not None:
            return _pull_local(":".join(split_label(label)), _local_path(source), models_directory, budget_gb)
        return _pull_known(label, models_directory, budget_gb, fetching or Fetching())


def _pull_known(label: str, models_directory: Path, budget_gb: float, fetching: Fetching) -> PulledModel:
    folder, staging = _places(label, models_directory)
    entry = entry_for(label)
    _refuse_over_budget(entry.label, entry.size_mb * 1_000_000, models_directory, budget_gb, replaced=folder)
    _leave_only(entry.downloads, staging)
    fetched = fetch(entry, folder, staging, fetching)
    verified = {name: _verified_against(entry, name, staging, fetched.stated.get(name)) for name in entry.downloads}
    if entry.is_archive:
        archive = next(iter(entry.downloads))
        _unpack_in_place(archive, staging)
        verified = dict.fromkeys(_files_in(staging), verified[archive])
    return _install(entry.label, fetched.source, folder, staging, verified)


def pull_from_hub(
    label: str, models_directory: Path, budget_gb: float, hub: HubModels, progress: DownloadProgress
) -> PulledModel:
    """Brings a model that the hub has; every file must be what the hub's record says, and what the catalogue says.

    Raises ModelStoreError: `model_missing` where the hub has none, or as `pull`.
    """
    with alone_with(label, models_directory):
        return _pull_from_hub(label, models_directory, budget_gb, hub, progress)


def _pull_from_hub(
    label: str, models_directory: Path, budget_gb: float, hub: HubModels, progress: DownloadProgress
) -> PulledModel:
    folder, staging = _places(label, models_directory)
    engine, model = split_label(label)
    files = hub.record(engine, model)
    size = sum(one["size"] for one in files.values())
    _refuse_over_budget(label, size, models_directory, budget_gb, replaced=folder)
    staging.mkdir(parents=True, exist_ok=True)
    _leave_only(files, staging)
    try:
        for name in files:
            hub.fetch(engine, model, name, staging / name, progress)
    except httpx.TransportError as error:
        raise ModelStoreError("no_connection", f"the hub went away ({error})") from error
    compared = {
        name: to for name, to in _compared_with_catalogue(f"{engine}:{model}", staging).items() if name in files
    }
    wrong = [*_mismatches(staging, {"files": files}), *(name for name, to in compared.items() if to == "different")]
    if wrong:
        _quarantine(staging)
        raise ModelStoreError("model_corrupt", f"{label} from the hub: {', '.join(wrong)}")
    against = {name: "hub" if to == "nothing" else to for name, to in compared.items()}
    return _install(f"{engine}:{model}", f"the hub at {hub.base_url}", folder, staging, against)


def has(label: str, models_directory: Path) -> bool:
    """Whether the model lies here."""
    return any(model.label == ":".join(split_label(label)) for model in list_models(models_directory))


def stored_file(engine: str, model: str, name: str, models_directory: Path) -> tuple[Path, str] | None:
    """Returns where a recorded file of a model lies, or its record, with a tag of its bytes; None if there is none."""
    if not (is_plain_name(engine) and is_plain_name(model)):
        return None
    folder = models_directory / engine / model
    record = _read_record(folder) if folder.is_dir() else None
    if record is None:
        return None
    if name == CHECKSUMS:
        return folder / CHECKSUMS, sha256_of(folder / CHECKSUMS)
    wanted = record["files"].get(name)
    return (folder / name, str(wanted["sha256"])) if wanted and (folder / name).is_file() else None


def list_models(models_directory: Path, verify: bool = False) -> list[StoredModel]:
    """Every model that lies here, by label; `verify` reads every byte and quarantines what does not match."""
    if not models_directory.is_dir():
        return []
    folders = [
        folder
        for engine in sorted(models_directory.iterdir())
        if engine.is_dir() and is_plain_name(engine.name)
        for folder in sorted(engine.iterdir())
        if folder.is_dir() and is_plain_name(folder.name)
    ]
    return [_stored(folder, verify=verify) for folder in folders]


def remove(label: str, models_directory: Path) -> int:
    """Deletes a model with what is left of its downloads; the bytes freed.

    Raises ModelStoreError `label_invalid`, `model_missing`, `model_in_use` or `pull_running`.
    """
    engine, model = split_label(label)
    root = models_directory / engine
    found = [path for path in (root / model, root / PARTIAL / model, root / QUARANTINE / model) if path.exists()]
    if not found:
        here = ", ".join(one.label for one in list_models(models_directory)) or "none"
        raise ModelStoreError("model_missing", f"there is no model {label} in {models_directory}; here: {here}")
    freed = sum(_size_of(path) for path in found)
    with alone_with(label, models_directory):
        try:
            for path in found:
                shutil.rmtree(path)
        except PermissionError as error:
            raise _in_use(root / model) from error
    return freed


def _places(label: str, models_directory: Path) -> tuple[Path, Path]:
    """Where the model will lie, and where it lies until it is whole."""
    engine, model = split_label(label)
    return models_directory / engine / model, models_directory / engine / PARTIAL / model


def _verified_against(entry: CatalogueEntry, name: str, staging: Path, stated: Checksum | None) -> str:
    known = entry.sha256.get(name)
    expected = Checksum("sha256", known) if known else stated
    if expected is None:
        return "nothing"
    if not expected.fits(staging / name):
        _quarantine(staging)
        message = f"{name} of {entry.label} is not what its checksum ({expected.value}) says; type the same again"
        raise ModelStoreError("model_corrupt", message)
    return "catalogue" if known else "server"


def _pull_local(label: str, source: Path, models_directory: Path, budget_gb: float) -> PulledModel:
    folder, staging = _places(label, models_directory)
    if not source.exists():
        raise ModelStoreError("source_missing", f"there is nothing at {source}; --from takes a folder or a zip archive")
    _refuse_over_budget(label, _size_of(source), models_directory, budget_gb, replaced=folder)
    if staging.exists():
        shutil.rmtree(staging)
    staging.mkdir(parents=True)
    if source.is_dir():
        # Links are followed: the cache of another tool keeps its files behind them.
        shutil.copytree(source, staging, dirs_exist_ok=True)
        (staging / CHECKSUMS).unlink(missing_ok=True)
        _compare_with_record(label, source, staging)
    else:
        shutil.copyfile(source, staging / source.name)
        if source.suffix == ".zip":
            _unpack_in_place(source.name, staging)
    return _install(label, str(source), folder, staging, _compared_with_catalogue(label, staging))


def _compared_with_catalogue(label: str, staging: Path) -> dict[str, str]:
    """What was brought by hand may be a model of one's own under a known name: that is said, and not refused."""
    entry = CATALOGUE.get(label)
    known = entry.sha256 if entry is not None and not entry.is_archive else {}
    compared = {}
    for name, path in _files_in(staging).items():
        fits = sha256_of(path) == known.get(name)
        compared[name] = "catalogue" if fits else "different" if name in known else "nothing"
    return compared


def _compare_with_record(label: str, source: Path, staging: Path) -> None:
    record = _read_record(source)
    wrong = _mismatches(staging, record) if record else []
    if wrong:
        _quarantine(staging)
        raise ModelStoreError("model_corrupt", f"{label} from {source}: {', '.join(wrong)}; copy it again")


def _unpack_in_place(name: str, staging: Path) -> None:
    unpacked = staging.with_name(staging.name + ".unpacked")
    shutil.rmtree(unpacked, ignore_errors=True)
    unpacked.mkdir()
    try:
        unpack(staging / name, unpacked)
    except ModelStoreError:
        shutil.rmtree(unpacked)
        _quarantine(staging)
        raise
    shutil.rmtree(staging)
    unpacked.rename(staging)


def _leave_only(names: Iterable[str], staging: Path) -> None:
    """What another source or another version of the model left is no part of this one; what continues it stays."""
    wanted = {kept for name in names for kept in (name, f"{name}.etag")}
    for name, path in _files_in(staging).items():
        if name not in wanted:
            path.unlink()


def _files_in(directory: Path) -> dict[str, Path]:
    """Returns name, relative to `directory`, to path. A link counts as what it leads to, even where that is gone."""
    found = sorted(path for path in directory.rglob("*") if path.is_file() or path.is_symlink())
    return {path.relative_to(directory).as_posix(): path for path in found}


def _install(label: str, source: str, folder: Path, staging: Path, verified: Mapping[str, str]) -> PulledModel:
    """`verified` names every file of the model; any other one was compared with nothing, and is refused."""
    for tag in {f"{name}.etag" for name in verified} - set(verified):
        (staging / tag).unlink(missing_ok=True)
    strangers = [name for name in _files_in(staging) if name not in verified]
    if strangers:
        _quarantine(staging)
        raise ModelStoreError("model_corrupt", f"{label}: {', '.join(strangers)} is no part of it; type the same again")
    if not verified:
        raise ModelStoreError("model_corrupt", f"{label}: {source} holds no files")
    files = {
        name: {"sha256": sha256_of(path), "size": path.stat().st_size} for name, path in _files_in(staging).items()
    }
    record = {"label": label, "source": source, "verified_against": dict(verified), "files": files}
    (staging / CHECKSUMS).write_text(json.dumps(record, indent=2, sort_keys=True), encoding="utf-8")
    _swap(staging, folder)
    return PulledModel(label=label, folder=folder, size_bytes=_size_of(folder), source=source, verified=dict(verified))


def _swap(staging: Path, folder: Path) -> None:
    old = staging.with_name(staging.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    try:
        if folder.exists():
            folder.rename(old)
    except PermissionError as error:
        raise _in_use(folder) from error
    staging.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _in_use(folder: Path) -> ModelStoreError:
    # Windows does not let go of files that a process has open.
    return ModelStoreError("model_in_use", f"{folder} cannot be changed: stop this machine's node, and type it again")


def _quarantine(path: Path) -> Path:
    """One per model: the newer evidence replaces the older, so that it cannot fill the disk."""
    root = path.parent.parent if path.parent.name == PARTIAL else path.parent
    target = root / QUARANTINE / path.name
    shutil.rmtree(target, ignore_errors=True)
    target.parent.mkdir(exist_ok=True)
    path.rename(target)
    return target


def _stored(folder: Path, *, verify: bool) -> StoredModel:
    label, size = f"{folder.parent.name}:{folder.name}", _size_of(folder)
    record = _read_record(folder)
    if record is None:
        detail = "no checksums.json: copied by hand; pull it, or pull it --from its folder, to have it verified"
        return StoredModel(label=label, folder=folder, size_bytes=size, state="unrecorded", detail=detail)
    if not verify:
        return StoredModel(label=label, folder=folder, size_bytes=size, state="ready")
    wrong = _mismatches(folder, record)
    if not wrong:
        return StoredModel(label=label, folder=folder, size_bytes=size, state="verified")
    detail = f"{', '.join(wrong)}; moved aside, type: clustercore models pull {label}"
    return StoredModel(label=label, folder=_quarantine(folder), size_bytes=size, state="quarantined", detail=detail)


def _read_record(folder: Path) -> dict[str, Any] | None:
    try:
        record = json.loads((folder / CHECKSUMS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and isinstance(record.get("files"), dict) else None


def _mismatches(folder: Path, record: Mapping[str, Any]) -> list[str]:
    wrong = []
    for name, wanted in record["files"].items():
        path = folder / name
        if not path.is_file():
            wrong.append(f"{name} is missing")
        elif path.stat().st_size != wanted["size"] or sha256_of(path) != wanted["sha256"]:
            wrong.append(f"{name} was changed")
    return wrong


def _refuse_over_budget(label: str, needed: int, models_directory: Path, budget_gb: float, replaced: Path) -> None:
    stored = [model for model in list_models(models_directory) if model.folder != replaced]
    # What was quarantined or half fetched fills the disk as well; what this pull replaces or continues does not count.
    staging = replaced.parent / PARTIAL / replaced.name
    used = _size_of(models_directory) - _size_of(replaced) - _size_of(staging)
    if used + needed > budget_gb * GIGABYTE:
        biggest = sorted(stored, key=lambda model: -model.size_bytes)[:3]
        names = ", ".join(f"clustercore models rm {one.label} ({_gigabytes(one.size_bytes)})" for one in biggest)
        advice = f"make room: {names}; or" if names else "there is nothing to remove;"
        message = (
            f"{label} needs {_gigabytes(needed)}, the models here fill {_gigabytes(used)} of a budget of "
            f"{budget_gb:g} GB; {advice} raise CLUSTERCORE_MODELS_BUDGET_GB"
        )
        raise ModelStoreError("budget_exceeded", message)
    models_directory.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(models_directory).free
    if needed > free:
        message = f"{label} needs {_gigabytes(needed)} and the disk of {models_directory} has {_gigabytes(free)} free"
        raise ModelStoreError("disk_full", message)


def _gigabytes(size: int) -> str:
    return f"{size / GIGABYTE:.2f} GB"


def _size_of(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(one.stat().st_size for one in path.rglob("*") if one.is_file())


def _local_path(source: str) -> Path:
    parts = urlsplit(source)
    # A Windows drive looks like a scheme of one letter.
    return Path(url2pathname(parts.path)) if parts.scheme == "file" else Path(source).expanduser()
