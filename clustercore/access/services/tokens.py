"""Writing: tokens are made, used and revoked here."""

from __future__ import annotations

import math
import secrets
import time
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from clustercore.access.domain.errors import Invalid, NotFound, NotIdentified, NotPermitted
from clustercore.access.domain.identity import Identity
from clustercore.access.domain.roles import Permission
from clustercore.access.domain.tokens import SHOWN_LETTERS, START, digest_of
from clustercore.access.models import ApiToken
from clustercore.access.services.audit import record

NOTE_SECONDS = 60
_noted: dict[int, float] = {}
"""When this process last noted a token's use, by its own clock; one entry for each token that was ever good here."""

LONGEST_NAME = 80


class TokenRefused(Invalid):
    """A token cannot be made so; `field` names what is wrong."""

    code: str | None = None


class ScopeNotHeld(TokenRefused):
    """A token would be allowed more than its owner is."""

    code = "scope_not_held"


class SessionNeeded(NotPermitted):
    """A token asks for what only a signed-in person may do."""

    code = "session_needed"


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
    """Remembers that a token was used, once a minute at most; in between it costs no query."""
    now = time.monotonic()
    if now - _noted.get(token_id, -math.inf) < NOTE_SECONDS:
        return
    _noted[token_id] = now
    long_ago = Now() - timedelta(seconds=NOTE_SECONDS)
    ApiToken.objects.filter(pk=token_id).exclude(last_used__gt=long_ago).update(last_used=Now())


def make_token(
    actor: Identity, owner: Identity, name: str, scopes: frozenset[Permission], expires: datetime | None
) -> tuple[ApiToken, str]:
    """`create_token` as people and programs may ask for it, noted in the audit log.

    `actor` makes it for `owner`, whose role bounds the scopes. Raises SessionNeeded where the
    actor is a token itself, NotIdentified, ScopeNotHeld, and TokenRefused for an empty name, or an end that has passed.
    """
    _require_session(actor)
    if owner.user_id is None:
        raise NotIdentified("sign in first")
    _require_held(owner, scopes)
    if not name.strip():
        raise TokenRefused("name: say what the token is for", field="name")
    if len(name.strip()) > LONGEST_NAME:
        raise TokenRefused(f"name: {LONGEST_NAME} characters at most", field="name")
    if expires is not None and expires <= timezone.now():
        raise TokenRefused("expires: this moment has passed", field="expires")
    with transaction.atomic():
        user = User.objects.get(pk=owner.user_id)
        row, token = create_token(user, name.strip(), scopes, expires=expires)
        detail = {"scopes": row.scopes, "expires": expires and expires.isoformat()}
        record(actor, "token.created", f"token {row.prefix} of {owner.name}", **detail)
    return row, token


def revoke_token_of(actor: Identity, token_id: int, *, owner_id: int | None) -> None:
    """Revokes a token of this owner, or of anybody (None). Raises SessionNeeded, NotFound.

    Revoking a revoked one changes nothing and is no error: what was wanted is so.
    """
    if actor.token_id is not None and actor.token_id != token_id:
        raise SessionNeeded("a token can revoke nothing but itself: sign in")
    rows = ApiToken.objects.select_related("user").filter(pk=token_id)
    row = (rows if owner_id is None else rows.filter(user_id=owner_id)).first()
    if row is None:
        raise NotFound("there is no such token")
    with transaction.atomic():
        if revoke_token(row.pk):
            record(actor, "token.revoked", f"token {row.prefix} of {row.user.get_username()}")


def _require_session(actor: Identity) -> None:
    """A token that makes tokens would outlive its own end."""
    if actor.token_id is not None:
        raise SessionNeeded("a token cannot make tokens: sign in, or ask on the hub")


def _require_held(owner: Identity, scopes: frozenset[Permission]) -> None:
    if not scopes:
        raise TokenRefused("scopes: name at least one", field="scopes")
    beyond = sorted(scopes - owner.permissions)
    if beyond:
        held = ", ".join(sorted(owner.permissions)) or "nothing"
        message = f"scopes: {', '.join(beyond)} is more than {owner.name} may, which is {held}"
        raise ScopeNotHeld(message, field="scopes")
