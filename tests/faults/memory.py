"""A machine on which memory runs out, without harm to anything but one process of the test's own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

from clustercore.nodes.adapters.hardware import memory_kills

_LIMIT_BYTES = 64 << 20
_EAT = f"bytes([1]) * {4 * _LIMIT_BYTES}"
_GROUPS = (
    (Path("/sys/fs/cgroup/memory"), ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes")),
    (Path("/sys/fs/cgroup"), ("memory.max", "memory.swap.max")),
)


def why_no_limits() -> str:
    """Why memory cannot be made to run out here; empty where it can."""
    if os.geteuid() != 0:
        return "a limit on memory needs root"
    if memory_kills() is None:
        return "this kernel does not count what it kills for want of memory"
    return "" if _group() is not None else "no control group for memory can be made here"


def run_out_of_memory() -> None:
    """The kernel kills a process for want of memory, which its count tells. Fails where it does not."""
    before = memory_kills()
    group = _group() or Path()
    try:
        enter = f"import os; open({str(group / 'cgroup.procs')!r}, 'w').write(str(os.getpid())); {_EAT}"
        subprocess.run([sys.executable, "-c", enter], check=False)
    finally:
        group.rmdir()
    assert (memory_kills() or 0) > (before or 0), "no process was killed for want of memory"


def _group() -> Path | None:
    for parent, limits in _GROUPS:
        if not (parent / "cgroup.procs").exists():
            continue
        group = parent / f"clustercore-tests-{uuid4().hex[:8]}"
        try:
            group.mkdir()
        except OSError:
            continue
        if (group / limits[0]).exists():
            for limit in limits:
                if (group / limit).exists():
                    (group / limit).write_text(str(_LIMIT_BYTES))
            return group
        group.rmdir()
    return None
