"""Many uploads at once: the memory of the web process, and the bytes a second beside writing the same to the disk.

python -m benchmarks uploads [--uploads 50] [--megabytes 100] [--rounds 3] [--strict]
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from typing import Any

import psutil
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.db import connection

from benchmarks import harness
from benchmarks.upload_load import BLOCK, MEGABYTE
from clustercore.access.domain.roles import Permission, Role
from clustercore.access.services.tokens import create_token
from clustercore.blobs.models import Blob, Upload
from clustercore.blobs.services import establish_hub
from clustercore.blobs.services.receiving import keep_upload
from clustercore.embedded.services import ensure_running, stop
from clustercore.jobs.models import Job
from clustercore.project.web import command

DATA_DIRECTORY = harness.data_directory()

LIMIT_MB = 300
BARS: harness.Bars = {"server_peak_mb": ("<=", LIMIT_MB)}
SAMPLE_SECONDS = 0.05


class Memory:
    """What a process and its children hold, in MB, sampled while this is entered."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self.samples: list[tuple[float, float]] = []

    def __enter__(self) -> Memory:
        self._began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def peak(self) -> float:
        return max(megabytes for _, megabytes in self.samples)

    def _sample(self) -> None:
        while not self._stop.wait(SAMPLE_SECONDS):
            family = [self._process, *self._process.children(recursive=True)]
            held = sum(one.memory_info().rss for one in family)
            self.samples.append((time.monotonic() - self._began, held / MEGABYTE))


def write_to_disk(uploads: int, size: int) -> float:
    """Seconds to write as many such files to the store's disk, one after another, hashed and flushed."""
    directory = DATA_DIRECTORY / "plain"
    directory.mkdir()
    began = time.monotonic()
    for number in range(uploads):
        digest = hashlib.sha256()
        with (directory / str(number)).open("wb", buffering=0) as file:
            for _ in range(size // len(BLOCK)):
                digest.update(BLOCK)
                file.write(BLOCK)
            os.fsync(file.fileno())
    seconds = time.monotonic() - began
    shutil.rmtree(directory)
    return seconds


def upload(port: int, token: str, uploads: int, megabytes: int) -> float:
    """Seconds that another process took to send them all."""
    options = ["--token", token, "--uploads", str(uploads), "--megabytes", str(megabytes)]
    asked = [sys.executable, "-m", "benchmarks.upload_load", "127.0.0.1", str(port), *options]
    return float(json.loads(subprocess.run(asked, check=True, stdout=subprocess.PIPE, text=True).stdout)["seconds"])


def operator() -> str:
    """The token of somebody who may upload."""
    user = User.objects.create_user("operator")
    user.groups.add(Group.objects.get(name=Role.OPERATOR.value))
    return create_token(user, "benchmark", frozenset({Permission.SUBMIT, Permission.VIEW}))[1]


def check_everything_came(uploads: int, size: int) -> None:
    """Each file is a blob of the right size, and half of them have a job."""
    for one in Upload.objects.filter(state="whole"):
        keep_upload(one.pk)
    sizes = set(Blob.objects.values_list("size", flat=True))
    assert sizes == {size}, sizes
    assert (Blob.objects.count(), Job.objects.count()) == (uploads, uploads - uploads // 2)


def forget_everything() -> None:
    """Makes room on the disk for the next round."""
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE jobs_job, blobs_upload, blobs_blob CASCADE")
    for path in (DATA_DIRECTORY / "blobs").rglob("[0-9a-f]" * 64):
        path.unlink()


@dataclass(frozen=True)
class Seen:
    """One round: its metrics, and the memory of the web process by the second."""

    metrics: dict[str, float]
    memory: list[tuple[float, float]]


def measure(port: int, token: str, uploads: int, megabytes: int) -> Seen:
    """Uploads to a web process of its own, and writes the same to the disk."""
    size, total = megabytes * MEGABYTE, uploads * megabytes
    with harness.web_process(command(port=port), port) as process:
        idle = process.memory_info().rss / MEGABYTE
        with Memory(process) as memory:
            seconds = upload(port, token, uploads, megabytes)
    check_everything_came(uploads, size)
    forget_everything()
    plain = write_to_disk(uploads, size)
    metrics = {
        "server_peak_mb": round(memory.peak, 1),
        "megabytes_per_second": round(total / seconds, 1),
        "disk_megabytes_per_second": round(total / plain, 1),
        "of_the_disk": round(plain / seconds, 3),
        "server_idle_mb": round(idle, 1),
    }
    return Seen(metrics, memory.samples)


def main() -> None:
    """Measures, prints, writes, and leaves nothing on the disk."""
    arguments = harness.arguments(__doc__)
    arguments.add_argument("--uploads", type=int, default=50, help="at once; half of them as forms")
    arguments.add_argument("--megabytes", type=int, default=100, help="size of each")
    chosen = arguments.parse_args()
    port = harness.free_port()
    with ensure_running(DATA_DIRECTORY, linger_seconds=5):
        call_command("migrate", verbosity=0)
        establish_hub(DATA_DIRECTORY, f"http://127.0.0.1:{port}")
        token = operator()
        rounds = harness.rounds(chosen.rounds, lambda _: measure(port, token, chosen.uploads, chosen.megabytes))
    stop(DATA_DIRECTORY)
    metrics = harness.medians([one.found.metrics for one in rounds])
    harness.print_table(harness.title("Uploads at once", BARS), ("metric", "value"), list(metrics.items()))

    def draw(axes: Any) -> None:
        for one in rounds:
            axes.plot(*zip(*one.found.memory, strict=True))
        axes.axhline(LIMIT_MB, linestyle="--", label="limit")
        axes.set(xlabel="seconds", ylabel="memory of the web process (MB)", ylim=(0, None))
        axes.set_title(f"{chosen.uploads} uploads of {chosen.megabytes} MB at once")
        axes.legend()

    details = {"uploads": chosen.uploads, "megabytes_each": chosen.megabytes}
    details["rounds"] = [one.found.metrics for one in rounds]
    loads = [one.load for one in rounds]
    harness.publish("uploads", metrics, details, draw, bars=BARS, loads=loads, strict=chosen.strict)
