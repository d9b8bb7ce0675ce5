"""Which start of this machine this is."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import psutil

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def read_boot_id() -> str:
    """Changes each time the machine starts."""
    with suppress(OSError):
        return BOOT_ID.read_text().strip()
    return f"boot-{int(psutil.boot_time())}"
