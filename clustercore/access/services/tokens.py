"""Writing: tokens are made, used and revoked here."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db.models.functions import Now

from clustercore.access.domain.roles import Permission
from clustercore.access.domain.tokens import SHOWN_LETTERS, START, digest_of
from clustercore.access.models import ApiToken


def create_token(
    user: User, name: str, scopes: frozenset[Permission], *, expires: datetime | None = None
) -> tuple[ApiToken, str]:
    """The row, and the token itself, which nobody can read again."""
    token = START + secrets.token_urlsafe(32)
    row = ApiToken.objects.create(
        user=user,
        name=name,
        prefix=token[:SHOWN_LETTERS],
        digest=digest_of(token),
        scopes=sorted(scopes),
        expires=expires,
    )
    return row, token


def revoke_token(token_id: int) -> bool:
    """From now on the token opens nothing; False when it did not before."""
    return bool(ApiToken.objects.filter(pk=token_id, revoked=None).update(revoked=Now()))


def note_use(token_id: int) -> None:
    """Remembers that a token was used, once a minute at most."""
    ApiToken.objects.filter(pk=token_id).exclude(last_used__gt=Now() - timedelta(minutes=1)).update(last_used=Now())
