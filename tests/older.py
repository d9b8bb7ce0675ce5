"""The version before the rules between hub and nodes had a number, built from the history as its users installed it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REVISION = "f2968aca08d2a745e9c1ac5e2aba1b41ff13327a"
ABSENT = "its source is not here: a clone with the whole history is needed"


def is_in_history() -> bool:
    """Whether the source of that version can be had: neither an archive nor a shallow clone has it."""
    return _git("cat-file", "-e", f"{REVISION}^{{commit}}").returncode == 0


def unpacked_wheel(directory: Path) -> Path:
    """Builds its wheel with what is installed here, and returns the folder that it was unpacked into."""
    source, built, unpacked = (directory / name for name in ("source", "built", "older"))
    zipfile.ZipFile(BytesIO(_git("archive", "--format=zip", REVISION).stdout)).extractall(source)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", str(built), "."], cwd=source, check=True, timeout=120)
    (wheel,) = built.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(unpacked)
    return unpacked


def _git(*words: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, check=False, timeout=60)
    except FileNotFoundError:
        return subprocess.CompletedProcess(words, 127, b"", b"")
