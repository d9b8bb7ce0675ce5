"""As whom do the servers run, and may that account reach a directory?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

OWN_ACCOUNT = "clustercore"
_PREFERRED = (OWN_ACCOUNT, "postgres")
LAST_RESORT = "nobody"


@dataclass(frozen=True, slots=True)
class Account:
    """An unprivileged system account."""

    name: str
    uid: int
    gid: int


def identity_of(account: Account | None) -> dict[str, Any]:
    """Returns the arguments by which `subprocess` starts a program as the account; none for one's own."""
    return {"user": account.uid, "group": account.gid, "extra_groups": []} if account else {}


def choose_account(known: Mapping[str, Account], data_owner: Account | None) -> Account | None:
    """The account for servers that root starts: who owns their data already, else a known one; None: make one."""
    if data_owner is not None and data_owner.uid != 0:
        return data_owner
    return next((known[name] for name in _PREFERRED if name in known), None)


def may_enter(mode: int, owner: int, group: int, account: Account) -> bool:
    """Whether a directory of this mode, owner and group lets the account pass through it."""
    if owner == account.uid:
        return bool(mode & 0o100)
    if group == account.gid:
        return bool(mode & 0o010)
    return bool(mode & 0o001)
