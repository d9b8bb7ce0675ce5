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

from clustercore.embedded.domain.shortage import shortage_in, shortage_told
from clustercore.nodes.adapters.model_download import DownloadProgress, sha256_of
from clustercore.nodes.adapters.model_files import UNFINISHED
from clustercore.nodes.domain.model_catalogue import DOWNLOAD_TOKEN, CatalogueEntry, ModelStoreError
from clustercore.nodes.domain.plain_addresses import without_secrets

PROBE_SECONDS = 5.0
"""How long the hub may take to answer at all: its client alone would try for half a minute."""
TOKEN_ADVICE = f"; if it asks for a token, type on the hub: clustercore secrets set {DOWNLOAD_TOKEN}"


def fetch(entry: CatalogueEntry, staging: Path, progress: DownloadProgress, token: str | None) -> None:
    """Puts all files of `entry` into `staging`, those of the user's cache without asking anybody.

    They come into `staging` itself, whose disk was asked for room, and not into the cache; those that came whole stay
    there if a further one does not. `token` goes to the catalogue's host only. Raises ModelStoreError `no_connection`,
    `download_refused` or `download_interrupted`, OSError for a full disk, and what `progress` raises.
    """
    missing = [name for name in entry.files if not _is_whole(entry, name, staging)]
    missing = [name for name in missing if not _from_cache(entry, name, staging)]
    if not missing:
        return
    _probe()
    if not entry.is_its_host(constants.ENDPOINT):
        token = None
    for name in missing:
        _download(entry, name, staging, progress, token)


def _is_whole(entry: CatalogueEntry, name: str, staging: Path) -> bool:
    """What another source began has no place there: the client would take it for the file where its hub is away."""
    if (staging / name).is_file() and sha256_of(staging / name) == entry.sha256.get(name):
        return True
    (staging / name).unlink(missing_ok=True)
    return False


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


def _download(entry: CatalogueEntry, name: str, staging: Path, progress: DownloadProgress, token: str | None) -> None:
    told = _Progress(name, progress)
    options: dict[str, Any] = {"revision": entry.revision, "token": token, "etag_timeout": PROBE_SECONDS}
    if "tqdm_class" in inspect.signature(hf_hub_download).parameters:
        options["tqdm_class"] = told.bar_class()
    # What the user's cache holds of it did not fit its checksum, or is not there: it is not looked at again.
    options |= {"local_dir": staging, "cache_dir": staging / UNFINISHED / "none"}
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    try:
        hf_hub_download(entry.repository, name, **options)
    except Exception as error:  # of a client that has had three HTTP libraries so far
        if error is told.raised or (isinstance(error, OSError) and shortage_in(error)):
            raise
        raise _failure(entry, name, error) from error


def _failure(entry: CatalogueEntry, name: str, error: Exception) -> ModelStoreError:
    said = without_secrets(str(error)).strip()
    reason = said.splitlines()[0] if said else type(error).__name__
    message = f"the hub of models did not give {name} of {entry.repository}: {reason}"
    if short := shortage_told(said):
        # Of its part that is not written in Python there are only words.
        return ModelStoreError("disk_full", f"{message}: {short}; make room and type the same again")
    status = _status_in(error)
    if status is None:
        advice = "type the same again: the files that came whole are kept"
        return ModelStoreError("download_interrupted", f"{message}; {advice}")
    asks = status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN) and entry.takes_token
    advice = TOKEN_ADVICE if asks and entry.is_its_host(constants.ENDPOINT) else ""
    return ModelStoreError("download_refused", f"{message} ({status}){advice}")


def _status_in(error: BaseException | None) -> int | None:
    """Returns the status of the hub's answer where it said no; None where it broke off."""
    if error is None:
        return None
    status = getattr(getattr(error, "response", None), "status_code", None)
    return int(status) if status is not None else _status_in(error.__cause__)


class _Progress:
    """Passes on how far the download of one file is; what that raises is to end the download, and is remembered."""

    def __init__(self, name: str, progress: DownloadProgress) -> None:
        self._name = name
        self._progress = progress
        self.raised: Exception | None = None

    def bar_class(self) -> type[Any]:
        """Returns what the client makes its bars of."""
        outer = self

        class Told(tqdm):  # type: ignore[misc]
            """Draws nothing."""

            def __init__(self, *arguments: Any, **options: Any) -> None:
                options.pop("name", None)
                super().__init__(*arguments, **{**options, "disable": True})
                self.size = options.get("total")
                self.n = options.get("initial") or 0

            def update(self, n: float | None = 1) -> None:
                self.n += n or 0
                outer._tell(int(self.n), self.total or self.size)

        return Told

    def _tell(self, done: int, total: int | None) -> None:
        try:
            self._progress(self._name, done, total)
        except Exception as error:
            self.raised = error
            raise
