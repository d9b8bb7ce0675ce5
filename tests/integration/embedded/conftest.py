"""Data directories of a test's own, and what the tests ask of the servers in them."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from clustercore.embedded.services import ensure_running, stop


@pytest.fixture
def parent_directory() -> Iterator[Path]:
    """A directory that every account may pass through, below one that this test does not touch."""
    directory = Path(tempfile.mkdtemp(prefix="clustercore-embedded-"))
    directory.chmod(0o711)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def new_directory(parent_directory: Path) -> Iterator[Path]:
    """A data directory that does not exist yet; its servers are stopped afterwards."""
    yield parent_directory / "data"
    stop(parent_directory / "data")


@pytest.fixture(scope="session")
def made_directory() -> Iterator[Path]:
    """A data directory whose servers have run once: copying it is quicker than making one for every test."""
    parent = Path(tempfile.mkdtemp(prefix="clustercore-embedded-"))
    parent.chmod(0o711)
    with ensure_running(parent / "data", linger_seconds=0):
        pass
    stop(parent / "data")
    yield parent / "data"
    shutil.rmtree(parent, ignore_errors=True)


@pytest.fixture
def data_directory(new_directory: Path, made_directory: Path) -> Path:
    """A data directory with databases, stopped."""
    subprocess.run(["cp", "-a", str(made_directory), str(new_directory)], check=True)
    shutil.rmtree(new_directory / "run")
    return new_directory


@pytest.fixture
def as_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root starts servers as another account")
