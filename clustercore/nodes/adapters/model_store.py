"""The models of this machine: pull, list, verify, remove.

One is put in its place by one rename, after everything in it was compared with its checksums.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import httpx

from clustercore.embedded.domain.shortage import shortage_in
from clustercore.nodes.adapters.hub_models import HubModels
from clustercore.nodes.adapters.model_download import DownloadProgress, sha256_of
from clustercore.nodes.adapters.model_files import (
    PARTIAL,
    QUARANTINE,
    files_in,
    forget_downloads,
    in_use,
    leave_only,
    mismatches,
    places,
    put_in_place,
    quarantine,
    read_record,
    size_of,
    unpack_in_place,
    write_record,
)
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
    with _bringing(label, models_directory):
        if source is not None:
            return _pull_local(":".join(split_label(label)), _local_path(source), models_directory, budget_gb)
        return _pull_known(label, models_directory, budget_gb, fetching or Fetching())


def _pull_known(label: str, models_directory: Path, budget_gb: float, fetching: Fetching) -> PulledModel:
    folder, staging = places(label, models_directory)
    entry = entry_for(label)
    _refuse_over_budget(entry.label, entry.size_mb * 1_000_000, models_directory, budget_gb, replaced=folder)
    leave_only(entry.downloads, staging)
    fetched = fetch(entry, folder, staging, fetching)
    verified = {name: _verified_against(entry, name, staging, fetched.stated.get(name)) for name in entry.downloads}
    if entry.is_archive:
        archive = next(iter(entry.downloads))
        unpack_in_place(archive, staging)
        verified = dict.fromkeys(files_in(staging), verified[archive])
    return _install(entry.label, fetched.source, folder, staging, verified)


def pull_from_hub(
    label: str, models_directory: Path, budget_gb: float, hub: HubModels, progress: DownloadProgress
) -> PulledModel:
    """Brings a model that the hub has; every file must be what the hub's record says, and what the catalogue says.

    Raises ModelStoreError: `model_missing` where the hub has none, or as `pull`.
    """
    with _bringing(label, models_directory):
        return _pull_from_hub(label, models_directory, budget_gb, hub, progress)


def _pull_from_hub(
    label: str, models_directory: Path, budget_gb: float, hub: HubModels, progress: DownloadProgress
) -> PulledModel:
    folder, staging = places(label, models_directory)
    engine, model = split_label(label)
    files = hub.record(engine, model)
    size = sum(one["size"] for one in files.values())
    _refuse_over_budget(label, size, models_directory, budget_gb, replaced=folder)
    staging.mkdir(parents=True, exist_ok=True)
    leave_only(files, staging)
    try:
        for name in files:
            hub.fetch(engine, model, name, staging / name, progress)
    except httpx.TransportError as error:
        raise ModelStoreError("no_connection", f"the hub went away ({error})") from error
    compared = {
        name: to for name, to in _compared_with_catalogue(f"{engine}:{model}", staging).items() if name in files
    }
    wrong = [*mismatches(staging, {"files": files}), *(name for name, to in compared.items() if to == "different")]
    if wrong:
        quarantine(staging)
        raise ModelStoreError("model_corrupt", f"{label} from the hub: {', '.join(wrong)}")
    against = {name: "hub" if to == "nothing" else to for name, to in compared.items()}
    return _install(f"{engine}:{model}", f"the hub at {hub.base_url}", folder, staging, against)


@contextmanager
def _bringing(label: str, models_directory: Path) -> Iterator[None]:
    """Around one pull: it is the only one of its model, and a disk that fills up meanwhile is told in words."""
    with alone_with(label, models_directory):
        try:
            yield
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            message = (
                f"{label} cannot be brought: {shortage_in(error)} for {models_directory}; what came is kept: "
                f"make room and type the same again, or clustercore models rm {label}"
            )
            raise ModelStoreError("disk_full", message) from error


def has(label: str, models_directory: Path) -> bool:
    """Whether the model lies here."""
    return any(model.label == ":".join(split_label(label)) for model in list_models(models_directory))


def stored_file(engine: str, model: str, name: str, models_directory: Path) -> tuple[Path, str] | None:
    """Returns where a recorded file of a model lies, or its record, with a tag of its bytes; None if there is none."""
    if not (is_plain_name(engine) and is_plain_name(model)):
        return None
    folder = models_directory / engine / model
    record = read_record(folder) if folder.is_dir() else None
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
    freed = sum(size_of(path) for path in found)
    with alone_with(label, models_directory):
        try:
            for path in found:
                shutil.rmtree(path)
        except PermissionError as error:
            raise in_use(root / model) from error
    return freed


def _verified_against(entry: CatalogueEntry, name: str, staging: Path, stated: str | None) -> str:
    known = entry.sha256.get(name)
    expected = known or stated
    if expected is None:
        return "nothing"
    if sha256_of(staging / name) != expected:
        quarantine(staging)
        message = f"{name} of {entry.label} is not what its checksum ({expected}) says; type the same again"
        raise ModelStoreError("model_corrupt", message)
    return "catalogue" if known else "server"


def _pull_local(label: str, source: Path, models_directory: Path, budget_gb: float) -> PulledModel:
    folder, staging = places(label, models_directory)
    if not source.exists():
        raise ModelStoreError("source_missing", f"there is nothing at {source}; --from takes a folder or a zip archive")
    _refuse_over_budget(label, size_of(source), models_directory, budget_gb, replaced=folder)
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
            unpack_in_place(source.name, staging)
    return _install(label, str(source), folder, staging, _compared_with_catalogue(label, staging))


def _compared_with_catalogue(label: str, staging: Path) -> dict[str, str]:
    """What was brought by hand may be a model of one's own under a known name: that is said, and not refused."""
    entry = CATALOGUE.get(label)
    known = entry.sha256 if entry is not None and not entry.is_archive else {}
    compared = {}
    for name, path in files_in(staging).items():
        fits = sha256_of(path) == known.get(name)
        compared[name] = "catalogue" if fits else "different" if name in known else "nothing"
    return compared


def _compare_with_record(label: str, source: Path, staging: Path) -> None:
    record = read_record(source)
    wrong = mismatches(staging, record) if record else []
    if wrong:
        quarantine(staging)
        raise ModelStoreError("model_corrupt", f"{label} from {source}: {', '.join(wrong)}; copy it again")


def _install(label: str, source: str, folder: Path, staging: Path, verified: Mapping[str, str]) -> PulledModel:
    """`verified` names every file of the model; any other one was compared with nothing, and is refused."""
    forget_downloads(verified, staging)
    strangers = [name for name in files_in(staging) if name not in verified]
    if strangers:
        quarantine(staging)
        raise ModelStoreError("model_corrupt", f"{label}: {', '.join(strangers)} is no part of it; type the same again")
    if not verified:
        raise ModelStoreError("model_corrupt", f"{label}: {source} holds no files")
    write_record(label, source, staging, verified)
    put_in_place(staging, folder)
    return PulledModel(label=label, folder=folder, size_bytes=size_of(folder), source=source, verified=dict(verified))


def _stored(folder: Path, *, verify: bool) -> StoredModel:
    label, size = f"{folder.parent.name}:{folder.name}", size_of(folder)
    record = read_record(folder)
    if record is None:
        detail = "no checksums.json: copied by hand; pull it, or pull it --from its folder, to have it verified"
        return StoredModel(label=label, folder=folder, size_bytes=size, state="unrecorded", detail=detail)
    if not verify:
        return StoredModel(label=label, folder=folder, size_bytes=size, state="ready")
    wrong = mismatches(folder, record)
    if not wrong:
        return StoredModel(label=label, folder=folder, size_bytes=size, state="verified")
    detail = f"{', '.join(wrong)}; moved aside, type: clustercore models pull {label}"
    return StoredModel(label=label, folder=quarantine(folder), size_bytes=size, state="quarantined", detail=detail)


def _refuse_over_budget(label: str, needed: int, models_directory: Path, budget_gb: float, replaced: Path) -> None:
    stored = [model for model in list_models(models_directory) if model.folder != replaced]
    # What was quarantined or half fetched fills the disk as well; what this pull replaces or continues does not count.
    staging = replaced.parent / PARTIAL / replaced.name
    used = size_of(models_directory) - size_of(replaced) - size_of(staging)
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


def _local_path(source: str) -> Path:
    parts = urlsplit(source)
    # A Windows drive looks like a scheme of one letter.
    return Path(url2pathname(parts.path)) if parts.scheme == "file" else Path(source).expanduser()
