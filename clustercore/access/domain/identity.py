"""Who asks: the one answer that pages, the API, uploads and WebSockets all decide by."""

from __future__ import annotations

from dataclasses import dataclass

from clustercore.access.domain.roles import PERMISSIONS, Permission, Role


@dataclass(frozen=True, slots=True)
class Identity:
    """A user, by session or by token; `ANONYMOUS` is nobody."""

    user_id: int | None
    name: str
    role: Role | None
    scopes: frozenset[Permission] | None = None
    """What the token allows; None for a session, which allows all that the role does."""
    token_id: int | None = None

    @property
    def is_known(self) -> bool:
        return self.user_id is not None

    @property
    def permissions(self) -> frozenset[Permission]:
        """What the role allows, as far as the token does."""
        granted = PERMISSIONS[self.role] if self.role is not None else frozenset()
        return granted if self.scopes is None else granted & self.scopes

    def may(self, permission: Permission) -> bool:
        return permission in self.permissions


ANONYMOUS = Identity(None, "anonymous", None)


def at_terminal(account: str) -> Identity:
    """Who types commands on a machine of the cluster: no user of the pages, but an account of that machine."""
    return Identity(None, f"terminal:{account}", None)
