"""A model's files from the hub of models, by its own client: the user's cache is used, and so is `HF_ENDPOINT`.

Imported only where `huggingface_hub` is installed (it comes with faster-whisper); `model_sources` looks.
"""

from __future__ import annotations

import inspect
import logging
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from huggingface_hub import constants, hf_hub_download, try_to_load_from_cache
from tqdm import tqdm

from clustercore.nodes.adapters.model_download import TOKEN_ADVICE, DownloadProgress, sha256_of
from clustercore.nodes.domain.model_catalogue import CatalogueEntry, ModelStoreError
from clustercore.nodes.domain.plain_addresses import without_secrets

PROBE_SECONDS = 5.0
"""How long the hub may take to answer at all: its client alone would try for half a minute."""


def fetch(entry: CatalogueEntry, staging: Path, progress: DownloadProgress, token: str | None) -> None:
    """Puts all files of `entry` into `staging`, those of the user's cache without asking anybody.

    `token` goes to the catalogue's host only. Raises ModelStoreError `no_connection` or `download_refused`.
    """
    missing = [name for name in entry.files if not _from_cache(entry, name, staging)]
    if not missing:
        return
    _probe()
    if not entry.is_its_host(constants.ENDPOINT):
        token = None
    for name in missing:
        shutil.copyfile(_download(entry, name, progress, token), staging / name)


def _from_cache(entry: CatalogueEntry, name: str, staging: Path) -> bool:
    for revision in (entry.revision, "main"):
        found = try_to_load_from_cache(entry.repository, name, revision=revision)
        if isinstance(found, str) and sha256_of(Path(found)) == entry.sha256.get(name):
            shutil.copyfile(found, staging / name)
            return True
    return False


def _probe() -> None:
    if constants.HF_HUB_OFFLINE:
        raise ModelStoreError("no_connection", "HF_HUB_OFFLINE is set, so the hub of models is not asked")
    try:
        httpx.head(constants.ENDPOINT, timeout=PROBE_SECONDS)
    except httpx.HTTPError as error:
        host = urlsplit(constants.ENDPOINT).netloc
        raise ModelStoreError("no_connection", f"{host} cannot be reached ({error})") from error


def _download(entry: CatalogueEntry, name: str, progress: DownloadProgress, token: str | None) -> str:
    options: dict[str, Any] = {"revision": entry.revision, "token": token, "etag_timeout": PROBE_SECONDS}
    if "tqdm_class" in inspect.signature(hf_hub_download).parameters:
        options["tqdm_class"] = _bar_for(name, progress)
    # What the cache holds under this name did not fit its checksum, or is not there.
    options["force_download"] = isinstance(try_to_load_from_cache(entry.repository, name, revision=entry.revision), str)
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    try:
        return str(hf_hub_download(entry.repository, name, **options))
    except Exception as error:  # of a client that has had three HTTP libraries so far
        said = without_secrets(str(error)).strip()
        reason = said.splitlines()[0] if said else type(error).__name__
        message = f"the hub of models did not give {name} of {entry.repository}: {reason}"
        asks = any(code in reason for code in ("401", "403")) and entry.takes_token
        advice = TOKEN_ADVICE if asks and entry.is_its_host(constants.ENDPOINT) else ""
        raise ModelStoreError("download_refused", message + advice) from error


def _bar_for(name: str, progress: DownloadProgress) -> type[Any]:
    class Told(tqdm):  # type: ignore[misc]
        """Draws nothing and passes on how far the download is."""

        def __init__(self, *arguments: Any, **options: Any) -> None:
            options.pop("name", None)
            super().__init__(*arguments, **{**options, "disable": True})
            self.size = options.get("total")

        def update(self, n: float | None = 1) -> None:
            self.n += n or 0
            progress(name, int(self.n), self.total or self.size)

    return Told
