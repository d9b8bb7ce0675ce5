"""The hub's own models, seen from a node: fetched by signed addresses, so that each comes from outside only once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from clustercore.nodes.adapters.model_download import DownloadProgress, Server, download
from clustercore.nodes.domain.model_catalogue import ModelStoreError
from clustercore.nodes.domain.model_record import CHECKSUMS, checked_files

SECONDS = 10.0
HUB = Server(name="the hub", trust_env=False)


@dataclass(frozen=True, slots=True)
class HubModels:
    """The model store behind the hub's web process at `base_url`."""

    base_url: str
    sign: Callable[[str], str]
    """Makes the path and query of one GET, from the path of the file below the store."""

    def record(self, engine: str, model: str) -> Mapping[str, Any]:
        """Returns the files with their sizes and checksums.

        Raises ModelStoreError `model_missing` where the hub has no such model, `no_connection` where it is away.
        """
        try:
            response = httpx.get(self._address(engine, model, CHECKSUMS), timeout=SECONDS, trust_env=False)
            if response.status_code == httpx.codes.NOT_FOUND:
                raise ModelStoreError("model_missing", f"the hub has no {engine}:{model}")
            if not response.is_success:
                # httpx's own message would hold the signature.
                raise ModelStoreError("no_connection", f"the hub answered {response.status_code} for {CHECKSUMS}")
            return checked_files(response.json())
        except (httpx.HTTPError, ValueError) as error:
            raise ModelStoreError("no_connection", f"the hub at {self.base_url} gave no models ({error})") from error

    def fetch(self, engine: str, model: str, name: str, target: Path, progress: DownloadProgress) -> None:
        """Downloads one file into `target`. Raises ModelStoreError, httpx.TransportError."""
        target.parent.mkdir(parents=True, exist_ok=True)
        download(self._address(engine, model, name), target, progress, HUB)

    def _address(self, engine: str, model: str, name: str) -> str:
        return self.base_url + self.sign("/".join(quote(part) for part in (engine, model, name)))
