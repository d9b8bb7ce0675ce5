"""Reading: which identity a user or a token is, and what the audit log says."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from django.contrib.auth.models import AnonymousUser, User
from django.db import connection
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from clustercore.access.domain.identity import ANONYMOUS, Identity
from clustercore.access.domain.roles import Permission, Role, highest
from clustercore.access.domain.tokens import digest_of
from clustercore.access.models import ApiToken, AuditEntry

# Every request of a program begins with it: written out, because to compose it would cost more than to run it.
_TOKEN = """
SELECT t.id, t.scopes, u.id, u.username, u.is_superuser, ARRAY(
    SELECT g.name FROM auth_group g JOIN auth_user_groups m ON m.group_id = g.id WHERE m.user_id = u.id)
FROM access_apitoken t JOIN auth_user u ON u.id = t.user_id
WHERE t.digest = %s AND t.revoked IS NULL AND (t.expires IS NULL OR t.expires > statement_timestamp()) AND u.is_active
"""


def identity_of_user(user: User | AnonymousUser) -> Identity:
    """The identity behind a session; a disabled user is nobody."""
    if not user.is_authenticated or not user.is_active or user.pk is None:
        return ANONYMOUS
    return Identity(user.pk, user.get_username(), role_of(user))


def identity_of_token(token: str) -> Identity | None:
    """The identity behind a token; None when it is unknown, revoked or expired, or its user is disabled."""
    with connection.cursor() as cursor:
        cursor.execute(_TOKEN, [digest_of(token)])
        row = cursor.fetchone()
    if row is None:
        return None
    token_id, scopes, user_id, name, is_superuser, names = row
    known = {permission.value for permission in Permission}
    allowed = frozenset(Permission(scope) for scope in scopes if scope in known)
    return Identity(user_id, name, _role(is_superuser, names), allowed, token_id)


def role_of(user: User) -> Role | None:
    """The highest role among a user's groups; a superuser is an administrator."""
    return _role(user.is_superuser, () if user.is_superuser else user.groups.values_list("name", flat=True))


def _role(is_superuser: bool, groups: Iterable[str]) -> Role | None:
    return Role.ADMINISTRATOR if is_superuser else highest(frozenset(groups))


def audit_entries(*, actor: str = "", action: str = "", target: str = "") -> QuerySet[AuditEntry]:
    """The newest first. `token` finds the action `token.created`, and `job 7` or `job` the target `job 7`."""
    entries = AuditEntry.objects.order_by("-seq")
    if actor:
        entries = entries.filter(actor=actor)
    if action:
        entries = entries.filter(Q(action=action) | Q(action__startswith=f"{action}."))
    if target:
        entries = entries.filter(Q(target=target) | Q(target__startswith=f"{target} "))
    return entries


def administrators() -> QuerySet[User]:
    """Everybody who may administer and is not disabled."""
    role = Q(is_superuser=True) | Q(groups__name=Role.ADMINISTRATOR)
    return User.objects.filter(role, is_active=True).distinct()


def has_administrator() -> bool:
    """Whether anybody can sign in as an administrator."""
    return administrators().exists()


def administrator_names(at_most: int = 3) -> list[str]:
    """Whom to ask."""
    return list(administrators().order_by("pk").values_list("username", flat=True)[:at_most])


def people_with_roles() -> list[tuple[User, Role | None]]:
    """Everybody, those who may come in first; two queries."""
    users = User.objects.prefetch_related("groups").order_by("-is_active", "username")
    return [(user, _role_of_prefetched(user)) for user in users]


def tokens_of(identity: Identity) -> QuerySet[ApiToken]:
    """A person's tokens, newest first; revoked ones are among them for a month."""
    if identity.user_id is None:
        return ApiToken.objects.none()
    recent = Q(revoked=None) | Q(revoked__gt=Now() - timedelta(days=30))
    return ApiToken.objects.filter(recent, user_id=identity.user_id)


def _role_of_prefetched(user: User) -> Role | None:
    if user.is_superuser:
        return Role.ADMINISTRATOR
    return highest(frozenset(group.name for group in user.groups.all()))
