"""The hub's disk is full for a while: nothing ends, nothing is excluded, and room again means work again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from clustercore.embedded.services import stop
from tests.faults.cluster import WORKER_SETTINGS
from tests.faults.recording import PIECE_SECONDS, make_recording
from tests.faults.waiting import until
from tests.integration.project.test_command_line import Terminal

pytestmark = [
    pytest.mark.fault,
    pytest.mark.timeout(600),
    pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root mounts a small disk, on Linux"),
]
DISK = "size=300m,mode=0711"
FULL = "space left"
"""In the words of the node, of Redis, or of the system."""


@dataclass(frozen=True)
class SmallHub:
    """A hub with one node, all of whose data lie on a small disk."""

    terminal: Terminal
    settings: dict[str, str]

    def type(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.terminal.type(*words, **self.settings)

    def job(self, number: str) -> dict[str, Any]:
        """Nothing while the database cannot answer."""
        told = self.type("job", number, "--json")
        return dict(json.loads(told.stdout)) if told.returncode == 0 else {}

    def up(self) -> psutil.Process:
        return psutil.Process(json.loads((self.terminal.data_dir / "run/up.json").read_text())["pid"])


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[SmallHub]:
    disk = Path(tempfile.mkdtemp(prefix="clustercore-disk-"))
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", DISK, "disk", str(disk)], capture_output=True, check=False)
    if mounted.returncode != 0:
        disk.rmdir()
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.decode().strip()}")
    made = SmallHub(Terminal(disk, tmp_path), {**WORKER_SETTINGS, "PUPPET_DIRECTORY": str(tmp_path)})
    try:
        yield made
    finally:
        (disk / "filler").unlink(missing_ok=True)
        made.type("down")
        stop(disk)
        subprocess.run(["umount", "--lazy", str(disk)], check=True)
        disk.rmdir()


def fill(disk: Path) -> Path:
    """Not a byte is left on it."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for block in (65_536, 512):
            try:
                while file.write(b"\0" * block) == block:
                    pass
            except OSError:
                continue
    return filler


def told_by(job: dict[str, Any]) -> str:
    """Why the job waits and waited; a database that cannot answer is told by its absence."""
    return "; ".join(event["text"] for event in job["events"] if event["name"] == "waiting") if job else FULL


def test_a_disk_that_is_full_for_a_while_costs_only_the_time(hub: SmallHub, tmp_path: Path) -> None:
    recording = make_recording(tmp_path, "small", 60, first=7000)
    (tmp_path / "seconds").write_text("4")
    started = hub.type("up", "-d", "--name", "small", "--no-flower")
    assert started.returncode == 0, started.stderr
    up = hub.up()
    piece = ("-l", "en", "--piece-seconds", str(PIECE_SECONDS), "--no-wait")
    number = hub.type("transcribe", str(recording.path), *piece).stdout.strip()
    until(lambda: hub.job(number).get("done", 0) >= 1, 60, "no piece was done")

    filler = fill(hub.terminal.data_dir)
    until(lambda: FULL in told_by(hub.job(number)), 60, lambda: f"nobody says why: {told_by(hub.job(number))}")
    assert up.is_running()

    filler.unlink()
    (tmp_path / "seconds").write_text("0")
    until(lambda: hub.job(number).get("state") == "done", 120, lambda: f"it does not go on: {hub.job(number)}")
    assert hub.up() == up
    exported = hub.type("export", number, "-f", "txt", "-o", str(tmp_path / "texts"))
    assert exported.returncode == 0, exported.stderr
    [text] = (tmp_path / "texts").iterdir()
    assert tuple(text.read_text().split()) == recording.words
