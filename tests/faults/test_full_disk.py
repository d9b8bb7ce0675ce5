"""The hub's disk is full for a while: nothing ends, nothing is excluded, and room again means work again."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from clustercore.embedded.selectors import resolve_endpoints
from clustercore.embedded.services import status, stop
from tests.faults.cluster import LEASE_SECONDS, WORKER_SETTINGS
from tests.faults.conftest import Record
from tests.faults.disks import NoDisk, fill, mounted, why_no_disks
from tests.faults.recording import PIECE_SECONDS, make_recording
from tests.faults.waiting import until
from tests.integration.project.test_command_line import Terminal

pytestmark = [
    pytest.mark.fault,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(why_no_disks()), reason=why_no_disks()),
]
DISK = "400m"
FULL = "space left"
"""In the words of the node, of Redis, or of the system."""

WAL_MEGABYTES = 64
"""More than PostgreSQL has room for in the log files that it made before."""

FULL_SECONDS = 4 * LEASE_SECONDS


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

    def node(self) -> psutil.Process:
        [found] = [process for process in self.up().children() if "--hostname" in process.cmdline()]
        return found


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[SmallHub]:
    disk = Path(tempfile.mkdtemp(prefix="clustercore-disk-"))
    with ExitStack() as stack:
        stack.callback(disk.rmdir)
        try:
            stack.enter_context(mounted(disk, DISK))
        except NoDisk as error:
            pytest.skip(str(error))
        made = SmallHub(Terminal(disk, tmp_path), {**WORKER_SETTINGS, "PUPPET_DIRECTORY": str(tmp_path)})
        stack.callback(stop, disk)
        stack.callback(made.type, "down")
        stack.callback((disk / "filler").unlink, missing_ok=True)
        yield made


def reasons_of(job: dict[str, Any]) -> list[str]:
    """Why the job waited, as it was told."""
    return [event["text"] for event in job["events"] if event["name"] == "waiting"]


def cannot_write(hub: SmallHub, number: str) -> bool:
    """Whether the job says so; a database without room for its answer says it by its silence."""
    job = hub.job(number)
    return not job or any(FULL in reason for reason in reasons_of(job))


def end_database(disk: Path) -> None:
    """PostgreSQL ends itself when it has no room for its log."""
    with (
        pytest.raises(psycopg.OperationalError),
        psycopg.connect(resolve_endpoints(disk, None, None).database_url) as one,
    ):
        for _ in range(WAL_MEGABYTES):
            one.execute("SELECT pg_logical_emit_message(false, '', repeat(md5(random()::text), 32768))")


def database_waits(hub: SmallHub) -> bool:
    return FULL in str(status(hub.terminal.data_dir).get("message"))


@pytest.mark.parametrize("database_dies", [False, True], ids=["nobody can write", "the database dies of it"])
def test_a_disk_that_is_full_for_a_while_costs_only_the_time(
    hub: SmallHub, tmp_path: Path, record: Record, database_dies: bool
) -> None:
    """For four leases and more: `up` and the worker outlive a broker and a database that cannot write."""
    recording = make_recording(tmp_path, "small", 60, first=7000)
    (tmp_path / "seconds").write_text("2")
    started = hub.type("up", "-d", "--name", "small", "--no-flower")
    assert started.returncode == 0, started.stderr
    up, node = hub.up(), hub.node()
    piece = ("-l", "en", "--piece-seconds", str(PIECE_SECONDS), "--no-wait")
    number = hub.type("transcribe", str(recording.path), *piece).stdout.strip()
    until(lambda: hub.job(number).get("units", {}).get("done", 0) >= 1, 120, "no piece was done")

    filler, filled_at = fill(hub.terminal.data_dir), time.monotonic()
    if database_dies:
        end_database(hub.terminal.data_dir)
        until(lambda: database_waits(hub), 60, "nobody says what the database waits for")
    else:
        until(lambda: cannot_write(hub, number), 120, "neither the ledger says why nothing runs, nor is it away")
    until(lambda: time.monotonic() - filled_at >= FULL_SECONDS, FULL_SECONDS + 1, "the clock stands")
    assert (up.is_running(), node.is_running()) == (True, True)

    filler.unlink()
    room_at = time.monotonic()
    (tmp_path / "seconds").write_text("0")
    until(lambda: hub.job(number).get("state") == "done", 180, lambda: f"it does not go on: {hub.job(number)}")
    went_on_after = time.monotonic() - room_at
    assert (hub.up(), hub.node()) == (up, node)
    reasons = reasons_of(hub.job(number))
    assert len(reasons) == len(set(reasons)), reasons
    assert heard_in(hub, number, tmp_path / "texts") == recording.words
    row = "full-disk-database" if database_dies else "full-disk"
    record(row, full_s=round(room_at - filled_at), done_after_room_s=round(went_on_after, 1), told=reasons)


def heard_in(hub: SmallHub, number: str, directory: Path) -> tuple[str, ...]:
    exported = hub.type("export", number, "-f", "txt", "-o", str(directory))
    assert exported.returncode == 0, exported.stderr
    [text] = directory.iterdir()
    return tuple(text.read_text().split())
