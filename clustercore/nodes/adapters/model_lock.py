"""Who may change a model on this machine's disk: one at a time, whatever process it is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clustercore.embedded.adapters.locks import try_lock
from clustercore.nodes.domain.model_catalogue import ModelStoreError, split_label

LOCKS = ".locks"
"""A file for each model, at the top: whoever holds it may change what lies under the model's name."""


@contextmanager
def alone_with(label: str, models_directory: Path) -> Iterator[None]:
    """Keeps other pulls of the model away, those of other processes too, until the block ends.

    Raises ModelStoreError `pull_running`.
    """
    engine, model = split_label(label)
    path = models_directory / LOCKS / engine / model
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = try_lock(path)
    if lock is None:
        message = f"{engine}:{model} is being brought or removed by another process of this machine: wait for its end"
        raise ModelStoreError("pull_running", message)
    try:
        yield
    finally:
        os.close(lock)
