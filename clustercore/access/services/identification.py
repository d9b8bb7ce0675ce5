"""From a request to an identity: a bearer token if one is given, else the session. There is no third way."""

from __future__ import annotations

from django.http import HttpRequest

from clustercore.access.domain.errors import RequestRefused
from clustercore.access.domain.identity import Identity
from clustercore.access.selectors import identity_of_token, identity_of_user

_ATTRIBUTE = "_clustercore_identity"
BEARER = "bearer "


def identity_of(request: HttpRequest) -> Identity:
    """Who asks. Raises RequestRefused (401) for a token that opens nothing: it is never taken for nobody."""
    known = getattr(request, _ATTRIBUTE, None)
    if isinstance(known, Identity):
        return known
    header = request.headers.get("Authorization", "")
    identity = _from_token(header) if header else identity_of_user(request.user)
    setattr(request, _ATTRIBUTE, identity)
    return identity


def _from_token(header: str) -> Identity:
    token = header[len(BEARER) :].strip() if header[: len(BEARER)].lower() == BEARER else ""
    identity = identity_of_token(token) if token else None
    if identity is None:
        raise RequestRefused(
            401,
            "the token is unknown, revoked or expired: make one under Account, and send `Authorization: Bearer cc_…`",
            code="invalid_api_key",
        )
    return identity
