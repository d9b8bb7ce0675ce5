"""The import contracts, checked on a tree of files by import-linter in a process of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from tests.architecture.source import PACKAGES

# `lint-imports` puts the working directory first on the path, so that the tree's packages are found and not ours.
LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"


def copy_tree(source: Path, destination: Path) -> Path:
    """The packages and pyproject.toml, without caches: what the contracts and rules look at."""
    for package in PACKAGES:
        shutil.copytree(source / package, destination / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "manage.py"):
        shutil.copy(source / name, destination / name)
    return destination


def contract_names(root: Path) -> dict[str, str]:
    """Identifier and name of every contract."""
    configuration = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    return {contract["id"]: contract["name"] for contract in configuration["tool"]["importlinter"]["contracts"]}


def check_contracts(root: Path, *identifiers: str) -> tuple[bool, str]:
    """Whether the contracts (all of them unless named) are kept, and what the linter said."""
    chosen = [argument for identifier in identifiers for argument in ("--contract", identifier)]
    ended = subprocess.run(
        [sys.executable, "-c", LINT, "--no-cache", *chosen],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return ended.returncode == 0, ended.stdout + ended.stderr
