"""What machine this is: cores, memory, GPUs, and the identities that change with a boot."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from clustercore.embedded.adapters.boot import read_boot_id
from clustercore.nodes.domain.facts import Gpu, Hardware

try:
    import pynvml
except ImportError:  # A node without the wheel is a node without GPUs.
    pynvml = None

VM_STATISTICS = Path("/proc/vmstat")
BYTES_PER_MB = 1024 * 1024


def read_hardware() -> Hardware:
    """This machine, as it is now."""
    return Hardware(
        hostname=platform.node() or "unknown",
        boot_id=read_boot_id(),
        operating_system=f"{platform.system()} {platform.release()}"[:120],
        architecture=platform.machine() or "unknown",
        cores=usable_cores(),
        memory_mb=psutil.virtual_memory().total // BYTES_PER_MB,
        gpus=read_gpus(),
    )


def usable_cores() -> int:
    """The cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return psutil.cpu_count(logical=True) or 1


def memory_kills() -> int | None:
    """How often this machine has killed a process for want of memory since it started; None where it does not tell."""
    with suppress(OSError, ValueError, StopIteration):
        lines = VM_STATISTICS.read_text().splitlines()
        return int(next(line for line in lines if line.startswith("oom_kill ")).split()[1])
    return None


def read_gpus() -> tuple[Gpu, ...]:
    """NVIDIA GPUs; empty where there is no driver, no library or no GPU."""
    if pynvml is None:
        return ()
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()
    try:
        return tuple(_gpu(index) for index in range(pynvml.nvmlDeviceGetCount()))
    except pynvml.NVMLError:
        return ()
    finally:
        with suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def _gpu(index: int) -> Gpu:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    memory_mb = int(pynvml.nvmlDeviceGetMemoryInfo(handle).total) // BYTES_PER_MB
    return Gpu(_text(pynvml.nvmlDeviceGetName(handle)), memory_mb, _text(pynvml.nvmlSystemGetDriverVersion()))


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def process_is_alive(process_id: int) -> bool:
    """Whether another process with this number runs on this machine."""
    return process_id != os.getpid() and psutil.pid_exists(process_id)
