"""The system account that root runs the servers as."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys

from clustercore.embedded.domain.accounts import LAST_RESORT, OWN_ACCOUNT, Account, choose_account, may_enter
from clustercore.embedded.domain.errors import EmbeddedError
from clustercore.embedded.domain.layout import Layout

if sys.platform != "win32":
    import pwd


def server_account(layout: Layout) -> Account | None:
    """Whom root runs the servers as; None for an ordinary user. Raises EmbeddedError where that cannot work."""
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
