"""Data directories of a test's own, and what the tests ask of the servers in them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from clustercore.embedded.services import stop


@pytest.fixture
def parent_directory() -> Iterator[Path]:
    """A directory that every account may pass through, below one that this test does not touch."""
    directory = Path(tempfile.mkdtemp(prefix="clustercore-embedded-"))
    directory.chmod(0o711)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def data_directory(parent_directory: Path) -> Iterator[Path]:
    """A data directory that does not exist yet; its servers are stopped afterwards."""
    yield parent_directory / "data"
    stop(parent_directory / "data")


@pytest.fixture
def as_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root starts servers as another account")
