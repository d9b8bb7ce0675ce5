"""Reading: which identity a user or a token is."""

from __future__ import annotations

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Q
from django.db.models.functions import Now

from clustercore.access.domain.identity import ANONYMOUS, Identity
from clustercore.access.domain.roles import Permission, Role, highest
from clustercore.access.domain.tokens import digest_of
from clustercore.access.models import ApiToken


def identity_of_user(user: User | AnonymousUser) -> Identity:
    """The identity behind a session; a disabled user is nobody."""
    if not user.is_authenticated or not user.is_active or user.pk is None:
        return ANONYMOUS
    return Identity(user.pk, user.get_username(), role_of(user))


def identity_of_token(token: str) -> Identity | None:
    """The identity behind a token; None when it is unknown, revoked or expired, or its user is disabled."""
    row = (
        ApiToken.objects.select_related("user")
        .filter(Q(expires=None) | Q(expires__gt=Now()), digest=digest_of(token), revoked=None, user__is_active=True)
        .first()
    )
    if row is None:
        return None
    known = {permission.value for permission in Permission}
    scopes = frozenset(Permission(scope) for scope in row.scopes if scope in known)
    return Identity(row.user_id, row.user.get_username(), role_of(row.user), scopes, row.pk)


def role_of(user: User) -> Role | None:
    """The highest role among a user's groups; a superuser is an administrator."""
    if user.is_superuser:
        return Role.ADMINISTRATOR
    return highest(frozenset(user.groups.values_list("name", flat=True)))
