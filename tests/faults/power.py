"""Machines that start anew: a worker sees another boot id than before, as after a power cut."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from uuid import uuid4

_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_MOUNT = f'mount --bind "$0" {_BOOT_ID} && exec "$@"'


def why_no_power_cuts() -> str:
    """Why no other boot id can be shown here; empty where it can."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return "another boot id needs root and unshare (util-linux)"
    tried = subprocess.run(
        ["unshare", "--mount", "sh", "-c", _MOUNT, "/etc/hostname", "true"], check=False, capture_output=True
    )
    return "" if tried.returncode == 0 else f"no mount namespace here: {tried.stderr.decode(errors='replace').strip()}"


def after_a_start(directory: Path) -> list[str]:
    """The prefix of a command that runs on a machine which has just started, by its boot id."""
    boot_id = directory / f"boot-{uuid4()}"
    boot_id.write_text(f"{uuid4()}\n")
    return ["unshare", "--mount", "sh", "-c", _MOUNT, str(boot_id)]
