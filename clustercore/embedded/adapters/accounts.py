"""The system account of the servers, and the directories they live in."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

from clustercore.embedded.adapters import secrets
from clustercore.embedded.domain.accounts import LAST_RESORT, OWN_ACCOUNT, Account, choose_account, may_enter
from clustercore.embedded.domain.errors import EmbeddedError
from clustercore.embedded.domain.layout import Layout

if sys.platform != "win32":
    import pwd


def prepare(layout: Layout) -> Account | None:
    """Make the data directory's folders and secrets; return the account to run the servers as, None for our own.

    Changes nothing outside the data directory, but for the short socket directory where its path is too long.
    Raises EmbeddedError, naming the directory and the remedy, where the servers could not work.
    """
    if sys.platform == "win32":
        raise EmbeddedError(
            "A hub needs Linux (or macOS): this machine can be a worker node. "
            "Set DATABASE_URL and REDIS_URL to those of the hub."
        )
    try:
        layout.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        account = _server_account(layout)
        _make_directories(layout, account)
        _make_secrets(layout)
    except OSError as error:
        raise EmbeddedError(
            f"The data directory {layout.data_dir} cannot be used: {error}. "
            "Make it writable, or choose another with CLUSTERCORE_DATA_DIR."
        ) from error
    return account


def _server_account(layout: Layout) -> Account | None:
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name: Account(entry.pw_name, entry.pw_uid, entry.pw_gid) for entry in pwd.getpwall()}
    account = choose_account(known, _data_owner(layout)) or _new_account() or known.get(LAST_RESORT)
    if account is None:
        raise EmbeddedError("PostgreSQL refuses to run as root. Create an account for it: useradd --system clustercore")
    _require_reachable(layout, account)
    return account


def _data_owner(layout: Layout) -> Account | None:
    """Who owns the servers' data, or the data directory itself: they stay with that account."""
    for path in (layout.postgres_data, layout.redis_data, layout.data_dir):
        if path.is_dir() and path.stat().st_uid != 0:
            return _account_of(path.stat().st_uid, path.stat().st_gid)
    return None


def _account_of(uid: int, gid: int) -> Account:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return Account(str(uid), uid, gid)
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _new_account() -> Account | None:
    useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if useradd is None:
        return None
    command = [useradd, "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", OWN_ACCOUNT]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        return None
    entry = pwd.getpwnam(OWN_ACCOUNT)
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _require_reachable(layout: Layout, account: Account) -> None:
    for directory in reversed(layout.data_dir.parents):
        status = directory.stat()
        if not may_enter(status.st_mode, status.st_uid, status.st_gid, account):
            raise EmbeddedError(
                f"PostgreSQL refuses to run as root, and the account {account.name!r} that it runs as cannot pass "
                f"through {directory} (mode {stat.S_IMODE(status.st_mode):04o}) to the data directory "
                f"{layout.data_dir}. Choose another with CLUSTERCORE_DATA_DIR, such as /var/lib/clustercore."
            )


def _make_directories(layout: Layout, account: Account | None) -> None:
    _open_to(layout.data_dir, account)
    for directory, mode in ((layout.secrets, 0o700), (layout.logs, 0o700), (layout.run, 0o710)):
        _make_directory(directory, mode, None, account)
    if layout.sockets != layout.run:
        _make_socket_root(layout.sockets, account)
    for directory in (layout.postgres_socket_directory, layout.redis_data):
        _make_directory(directory, 0o700, account, account)


def _open_to(data_dir: Path, account: Account | None) -> None:
    """Let the account, and nobody else, pass through the data directory, listing nothing."""
    status = data_dir.stat()
    if account is None or may_enter(status.st_mode, status.st_uid, status.st_gid, account):
        return
    if status.st_mode & 0o070:
        raise EmbeddedError(
            f"The account {account.name!r} that PostgreSQL runs as cannot enter {data_dir}. "
            f"Allow it: chmod o+x {data_dir}"
        )
    os.chown(data_dir, -1, account.gid)
    data_dir.chmod(stat.S_IMODE(status.st_mode) | 0o010)


def _make_directory(path: Path, mode: int, owner: Account | None, group: Account | None) -> None:
    """Ours stay ours (`owner` None), with the account's group; only what this process may change is changed."""
    path.mkdir(mode=0o700, exist_ok=True)
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise EmbeddedError(f"{path} must be a directory, not a link or a file. Move it away.")
    if owner is None and status.st_uid != os.geteuid():
        raise EmbeddedError(f"{path} belongs to user {status.st_uid}. Run as that user, or use another data directory.")
    uid, gid = owner.uid if owner else os.geteuid(), group.gid if group else status.st_gid
    if (status.st_uid, status.st_gid) != (uid, gid):
        os.chown(path, uid, gid)
    if stat.S_IMODE(status.st_mode) != mode:
        path.chmod(mode)


def _make_socket_root(path: Path, account: Account | None) -> None:
    """Refuse a directory that somebody else has put under our name in a place where everybody may write."""
    path.mkdir(mode=0o700, exist_ok=True)
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise EmbeddedError(f"{path} belongs to somebody else. Remove it, or use a data directory with a shorter path.")
    _make_directory(path, 0o710, None, account)


def _make_secrets(layout: Layout) -> None:
    for name in ("django", "postgres", "redis"):
        secrets.password(layout.secrets / name)
        (layout.secrets / name).stat()
    secrets.loopback_port(layout.redis_port)
    layout.redis_port.stat()
