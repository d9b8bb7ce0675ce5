"""A file that came with a form: whole, hashed and on the store's disk, but nobody's yet."""

from __future__ import annotations

from dataclasses import dataclass

from clustercore.blobs.adapters.files import Finished
from clustercore.blobs.adapters.store import Store


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """It is gone when its request ends, unless `blobs.services.keep` has made it a blob."""

    store: Store
    finished: Finished
    size: int
    field: str
    name: str
    """The sender's file name: only ever shown as text."""
    media_type: str

    @property
    def sha256(self) -> str:
        return self.finished.sha256

    def discard(self) -> None:
        """Frees the disk now, where the request goes on for long."""
        self.finished.path.unlink(missing_ok=True)
