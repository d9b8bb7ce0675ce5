"""Topics that each person sees differently: who looks on is written into the key, and read from it by the loader."""

from __future__ import annotations

from clustercore.access.domain.identity import Identity
from clustercore.access.domain.roles import Permission, Role

_BETWEEN = "@"


def viewer_key(identity: Identity, key: str) -> str:
    """`key` as this person sees it: two people (or two tokens) that may see different things have different keys."""
    role = identity.role.value if identity.role is not None else ""
    scopes = "*" if identity.scopes is None else "+".join(sorted(scope.value for scope in identity.scopes))
    return f"{identity.user_id}/{role}/{scopes}{_BETWEEN}{key}"


def viewer_of(viewer: str) -> tuple[Identity, str]:
    """The identity (without its name) and the key that `viewer_key` joined."""
    written, _, key = viewer.partition(_BETWEEN)
    user, role, scopes = written.split("/")
    allowed = None if scopes == "*" else frozenset(Permission(scope) for scope in scopes.split("+") if scope)
    return Identity(None if user == "None" else int(user), "", Role(role) if role else None, allowed), key
