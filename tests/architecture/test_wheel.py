"""The wheel holds what runs, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile

import pytest

from tests.architecture.contents import strangers
from tests.architecture.source import PACKAGES, ROOT

DESCRIBED_BY = ("pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What a wheel built from a copy of the source holds; building in place would leave its traces here."""
    copy = tmp_path_factory.mktemp("wheel")
    for folder in ROOT.iterdir():
        if folder.is_dir() and not folder.name.startswith(".") and folder.name not in {"build", "dist"}:
            shutil.copytree(folder, copy / folder.name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in DESCRIBED_BY:
        shutil.copy(ROOT / name, copy / name)
    built = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", "dist", "."],
        cwd=copy,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = (copy / "dist").glob("*.whl")
    return zipfile.ZipFile(wheel).namelist()


def test_it_holds_every_module(names: list[str]) -> None:
    modules = {path.relative_to(ROOT).as_posix() for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    assert modules <= set(names)


@pytest.mark.parametrize("folder", ["templates", "transcription/samples"])
def test_it_holds_what_the_modules_read(names: list[str], folder: str) -> None:
    files = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert files <= set(names)


def test_it_holds_nothing_else(names: list[str]) -> None:
    assert strangers(names) == set()


def test_it_carries_the_licence(names: list[str]) -> None:
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
