"""Where a soak's files lie; nothing of the product is imported, for its settings are read from the hub's disk."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.faults.disks import mounted

HUB, FAR, CLOCK = "hub", "far", "clock"
HUB_DISK, FAR_DISK = "500m", "100m"
VARIABLES = {
    "DJANGO_SETTINGS_MODULE": "clustercore.project.settings",
    # So short that only references keep what a job needs.
    "CLUSTERCORE_UNREFERENCED_HOURS": "0.00001",
}


@contextmanager
def private_disks() -> Iterator[Path]:
    """A directory with the hub's disk and the far node's, which this process's environment names. Raises NoDisk."""
    directory = Path(tempfile.mkdtemp(prefix="clustercore-soak-"))
    # Root's servers run as another account and must be able to pass.
    directory.chmod(0o711)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        for name, size in ((HUB, HUB_DISK), (FAR, FAR_DISK)):
            (directory / name).mkdir()
            stack.enter_context(mounted(directory / name, size))
        for variable in ("DATABASE_URL", "REDIS_URL"):
            os.environ.pop(variable, None)
        os.environ |= {**VARIABLES, "CLUSTERCORE_DATA_DIR": str(directory / HUB)}
        yield directory
