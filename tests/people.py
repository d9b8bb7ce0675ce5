"""The people of the tests: Ada administers, Otto and Olga operate, Vera looks on."""

from __future__ import annotations

from django.contrib.auth.models import Group, User

from clustercore.access.domain.identity import Identity
from clustercore.access.domain.roles import PERMISSIONS, Permission, Role
from clustercore.access.selectors import identity_of_user
from clustercore.access.services.tokens import create_token

ROLES = {
    "ada": Role.ADMINISTRATOR,
    "otto": Role.OPERATOR,
    "olga": Role.OPERATOR,
    "vera": Role.VIEWER,
}
PASSWORD = "correct horse battery staple"


def person(name: str) -> User:
    """A member of the cast, made on first use, with the password `PASSWORD`."""
    user = User.objects.filter(username=name).first()
    if user is None:
        user = User.objects.create_user(name, password=PASSWORD)
        # A transactional test empties the tables that a migration filled.
        user.groups.add(Group.objects.get_or_create(name=ROLES[name].value)[0])
    return user


def identity(name: str) -> Identity:
    """A member of the cast as it comes in by a session."""
    return identity_of_user(person(name))


def token_of(name: str, *scopes: Permission) -> str:
    """A token of that person; without scopes it allows all that the role does."""
    _, token = create_token(person(name), "for a test", frozenset(scopes) or PERMISSIONS[ROLES[name]])
    return token
