"""Small disks of a test's own, and how they are filled."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class NoDisk(Exception):
    """None can be mounted here; the message says why."""


def why_no_disks() -> str:
    """Why no disk can be mounted here, as far as that is known before; empty where it may."""
    return "" if sys.platform == "linux" and os.geteuid() == 0 else "only root mounts a small disk, on Linux"


@contextmanager
def mounted(path: Path, size: str) -> Iterator[None]:
    """A disk of this size at an empty directory, which all accounts may pass. Raises NoDisk."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0711", "disk", str(path)]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    if done.returncode != 0:
        raise NoDisk(f"no disk can be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def fill(disk: Path) -> Path:
    """Not a byte is left on it; returns the file that takes them."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for block in (65_536, 512):
            try:
                while file.write(b"\0" * block) == block:
                    pass
            except OSError:
                continue
    return filler
