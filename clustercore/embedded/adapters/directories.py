"""The data directory's folders, made with the owners and modes that the servers need."""

from __future__ import annotations

import os
import stat
import sys
from contextlib import suppress
from pathlib import Path

from clustercore.embedded.adapters import secrets
from clustercore.embedded.adapters.accounts import server_account
from clustercore.embedded.domain.accounts import Account, may_enter
from clustercore.embedded.domain.errors import EmbeddedError
from clustercore.embedded.domain.layout import Layout


def layout_of(data_dir: Path) -> Layout:
    """Every process comes to the same paths, whatever its working directory and the symbolic links on the way."""
    return Layout(data_dir.expanduser().resolve())


def make_data_directory(path: Path) -> None:
    """Make it for this account alone, whoever comes first: a hub, a node, `doctor`. What is missing above it is for
    everybody to pass through, or the servers' account could not. Raises OSError."""
    for missing in reversed([parent for parent in path.parents if not parent.exists()]):
        missing.mkdir(exist_ok=True)
        missing.chmod(0o755)
    path.mkdir(mode=0o700, exist_ok=True)


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
        make_data_directory(layout.data_dir)
        account = server_account(layout)
        _bring_up_to_date(layout)
        _make_directories(layout, account)
        _make_secrets(layout)
    except OSError as error:
        raise EmbeddedError(
            f"The data directory {layout.data_dir} cannot be used: {error}. "
            "Make it writable, or choose another with CLUSTERCORE_DATA_DIR."
        ) from error
    return account


def _bring_up_to_date(layout: Layout) -> None:
    """Closes, once, what an earlier version left open to everybody, and removes the note by which it is known."""
    note = layout.run / "redis.port"
    if not note.is_file():
        return
    _narrow(layout.data_dir, 0o700, allowed=0o710)
    _narrow(layout.blobs, 0o700, allowed=0o700)
    _narrow(layout.blobs / "hub-identity", 0o600, allowed=0o600)
    note.unlink()


def _narrow(path: Path, mode: int, *, allowed: int) -> None:
    with suppress(FileNotFoundError):
        status = path.lstat()
        is_open = stat.S_IMODE(status.st_mode) & ~allowed
        if is_open and status.st_uid == os.geteuid() and not stat.S_ISLNK(status.st_mode):
            path.chmod(mode)


def _make_directories(layout: Layout, account: Account | None) -> None:
    _open_to(layout.data_dir, account)
    for directory, mode in ((layout.secrets, 0o700), (layout.logs, 0o700), (layout.run, 0o710)):
        _make_directory(directory, mode, None, account)
    if layout.sockets != layout.run:
        _make_socket_root(layout.sockets, account)
    for directory in (layout.postgres_socket_directory, layout.redis_socket_directory, layout.redis_data):
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
    for name in ("postgres", "redis"):
        secrets.password(layout.secrets / name)
        (layout.secrets / name).stat()
