"""Many uploads at once: the memory of the web process, and the bytes a second beside writing the same to the disk.

python -m benchmarks.uploads [--uploads 50] [--megabytes 100]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks import harness

DATA_DIRECTORY = harness.private_data_directory()

import django  # noqa: E402

django.setup()

import httpx  # noqa: E402
import psutil  # noqa: E402
from django.contrib.auth.models import Group, User  # noqa: E402
from django.core.management import call_command  # noqa: E402

from benchmarks.upload_load import BLOCK, MEGABYTE  # noqa: E402
from clustercore.access.domain.roles import Permission, Role  # noqa: E402
from clustercore.access.services.tokens import create_token  # noqa: E402
from clustercore.blobs.models import Blob, Upload  # noqa: E402
from clustercore.blobs.services import establish_hub, keep_upload  # noqa: E402
from clustercore.embedded.services import ensure_running, stop  # noqa: E402
from clustercore.jobs.models import Job  # noqa: E402
from clustercore.project.web import command  # noqa: E402

LIMIT_MB = 300
SAMPLE_SECONDS = 0.05


@contextmanager
def web_process(port: int) -> Iterator[psutil.Process]:
    """The product's web process, as `clustercore up` starts it."""
    with (DATA_DIRECTORY / "web.log").open("wb") as log:
        process = subprocess.Popen(command(port=port), env=dict(os.environ), stdout=log, stderr=log)
    try:
        harness.wait_until(lambda: _answers(port), 60, "the web process", every=0.2)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(30)


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 200
    except httpx.TransportError:
        return False


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
    for path in directory.iterdir():
        path.unlink()
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


def main() -> None:
    """Measures, prints, writes, and leaves nothing on the disk."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--uploads", type=int, default=50, help="at once; half of them as forms")
    arguments.add_argument("--megabytes", type=int, default=100, help="size of each")
    chosen = arguments.parse_args()
    size, port = chosen.megabytes * MEGABYTE, harness.free_port()
    with ensure_running(DATA_DIRECTORY, linger_seconds=5):
        call_command("migrate", verbosity=0)
        establish_hub(DATA_DIRECTORY, f"http://127.0.0.1:{port}")
        token = operator()
        with web_process(port) as process:
            idle = process.memory_info().rss / MEGABYTE
            with Memory(process) as memory:
                seconds = upload(port, token, chosen.uploads, chosen.megabytes)
        check_everything_came(chosen.uploads, size)
    stop(DATA_DIRECTORY)
    plain = write_to_disk(chosen.uploads, size)
    total = chosen.uploads * chosen.megabytes
    metrics = {
        "server_peak_mb": round(memory.peak, 1),
        "megabytes_per_second": round(total / seconds, 1),
        "disk_megabytes_per_second": round(total / plain, 1),
        "of_the_disk": round(plain / seconds, 3),
        "server_idle_mb": round(idle, 1),
    }
    harness.print_table(f"Uploads at once (limit: {LIMIT_MB} MB)", ("metric", "value"), list(metrics.items()))

    def draw(axes: Any) -> None:
        axes.plot(*zip(*memory.samples, strict=True))
        axes.axhline(LIMIT_MB, linestyle="--", label="limit")
        axes.set(xlabel="seconds", ylabel="memory of the web process (MB)", ylim=(0, None))
        axes.set_title(f"{chosen.uploads} uploads of {chosen.megabytes} MB at once")
        axes.legend()

    details = {"uploads": chosen.uploads, "megabytes_each": chosen.megabytes, "limit_mb": LIMIT_MB}
    harness.publish("uploads", metrics, details, draw)


if __name__ == "__main__":
    main()
