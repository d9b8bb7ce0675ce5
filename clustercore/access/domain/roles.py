"""Who may do what: three roles, and the permissions that each has. A token's scopes are permissions too."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Permission(StrEnum):
    """One thing that may be allowed; also the scope of a token."""

    VIEW = "view"
    """See nodes, the status, and the jobs that are one's own or shared."""
    SUBMIT = "submit"
    """Ask for work: upload files and start jobs."""
    OPERATE = "operate"
    """Cancel, retry, pause, share and remove one's own jobs; correct one's own transcripts."""
    NODES = "nodes"
    """Drain and undrain nodes."""
    METRICS = "metrics"
    """Read `/metrics`."""
    ADMINISTER = "administer"
    """Everybody's jobs, users, tokens, the audit log, the admin and Flower."""


class Role(StrEnum):
    """A group that a migration makes; a user without one may do nothing yet."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMINISTRATOR = "administrator"


_VIEWER = frozenset({Permission.VIEW})
_OPERATOR = _VIEWER | {Permission.SUBMIT, Permission.OPERATE, Permission.NODES, Permission.METRICS}

PERMISSIONS: Mapping[Role, frozenset[Permission]] = {
    Role.VIEWER: _VIEWER,
    Role.OPERATOR: _OPERATOR,
    Role.ADMINISTRATOR: _OPERATOR | {Permission.ADMINISTER},
}


def highest(names: frozenset[str]) -> Role | None:
    """The role that allows most among the names of a user's groups; None when none of them is a role."""
    held = [role for role in Role if role.value in names]
    return held[-1] if held else None
