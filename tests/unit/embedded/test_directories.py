"""A data directory is for its owner alone, whoever makes it and whatever the umask."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from clustercore.embedded.adapters.directories import make_data_directory


@pytest.fixture(params=[0o000, 0o022, 0o077])
def _umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.mark.usefixtures("_umask")
def test_it_is_private_and_what_is_above_it_can_be_passed(tmp_path: Path) -> None:
    make_data_directory(tmp_path / "srv" / "clustercore" / "data")
    made = [tmp_path / "srv", tmp_path / "srv" / "clustercore", tmp_path / "srv" / "clustercore" / "data"]
    assert [stat.S_IMODE(path.stat().st_mode) for path in made] == [0o755, 0o755, 0o700]


def test_one_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o710)
    make_data_directory(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o710
