"""A hub whose clock can be set: its PostgreSQL and Redis run under libfaketime, all else by the machine's clock.

`python -m tests.faults.soak.clock OFFSET_FILE DATA_DIR SECONDS` is the supervisor of the embedded servers.
"""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

from clustercore.embedded.adapters.directories import layout_of, prepare
from clustercore.embedded.adapters.processes import CHILD_ENVIRONMENT
from clustercore.embedded.adapters.supervisor import main

LIBRARY = Path(f"/usr/lib/{platform.machine()}-linux-gnu/faketime/libfaketime.so.1")
LINGER_SECONDS = 120


def why_no_steps() -> str:
    """Why the clock cannot be set here; empty where it can."""
    return "" if LIBRARY.exists() else f"{LIBRARY} is missing: apt install faketime"


def set_clock(offset_file: Path, seconds: int) -> None:
    """By how much the servers' clock differs from the machine's; all their processes see it at once."""
    written = offset_file.with_suffix(".new")
    written.write_text(f"{seconds:+d}\n")
    # The servers' account reads it.
    written.chmod(0o644)
    written.replace(offset_file)


def start_servers(offset_file: Path, data_directory: Path) -> None:
    """Starts the data directory's supervisor, which whoever comes next finds running."""
    command = [sys.executable, "-m", __name__, str(offset_file), str(data_directory), str(LINGER_SECONDS)]
    subprocess.run(command, check=True, timeout=120, start_new_session=True)


if __name__ == "__main__":
    CHILD_ENVIRONMENT.update(
        LD_PRELOAD=str(LIBRARY),
        FAKETIME_TIMESTAMP_FILE=sys.argv[1],
        FAKETIME_DONT_FAKE_MONOTONIC="1",
        # Else processes of one server would have different clocks for as long as they keep what they read.
        FAKETIME_NO_CACHE="1",
        NO_FAKE_STAT="1",
    )
    prepare(layout_of(Path(sys.argv[2])))
    raise SystemExit(main(sys.argv[2:]))
