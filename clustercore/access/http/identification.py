"""From a request to an identity: a bearer token if one is given, else the session. There is no third way."""

from __future__ import annotations

import io
import time
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, cast

from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.auth.models import User
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest
from django.middleware.csrf import CsrfViewMiddleware
from django.utils.functional import SimpleLazyObject
from django.utils.module_loading import import_string

from clustercore.access.domain.errors import NotIdentified, NotPermitted
from clustercore.access.domain.identity import Identity
from clustercore.access.domain.roles import Permission
from clustercore.access.selectors import administrator_names, identity_of_token, identity_of_user
from clustercore.access.services.tokens import note_use
from clustercore.access.services.turns import visitor_here

_ATTRIBUTE = "_clustercore_identity"
_FOUND = "clustercore.found"
"""The key in the scope of a request for whom the gate found behind it. No client can write into a scope."""
FRESH_SECONDS = 1.0
"""How long that is believed: who sends a file for an hour may have been disabled meanwhile, and is asked again."""
BEARER = "bearer "


class TokenUnknown(NotIdentified):
    """A token opens nothing."""

    code = "invalid_api_key"

    def __init__(self) -> None:
        super().__init__(
            "the token is unknown, revoked or expired: make one under Account, and send `Authorization: Bearer cc_…`"
        )


class NoRole(NotPermitted):
    """A person was not given a role yet."""

    code = "no_role"


class PermissionMissing(NotPermitted):
    """The role, or the token, does not allow it."""

    code = "permission_denied"


class Forged(NotPermitted):
    """A session's change that does not come from a page of ours."""

    code = "csrf_failed"


@dataclass(frozen=True, slots=True)
class _Found:
    """Who was found behind a request, and when; None for a token that opens nothing."""

    identity: Identity | None
    at: float

    def believed(self) -> Identity:
        if self.identity is None:
            raise TokenUnknown
        return self.identity


class _Check(CsrfViewMiddleware):
    def _reject(self, request: HttpRequest, reason: str) -> str:  # noqa: ARG002
        return reason


def identity_of(request: HttpRequest) -> Identity:
    """Who asks. Raises TokenUnknown for a token that opens nothing: it is never taken for nobody."""
    known = getattr(request, _ATTRIBUTE, None)
    if isinstance(known, Identity):
        return known
    found = _found_in(getattr(request, "scope", {}))
    identity = _ask(request) if found is None else found.believed()
    setattr(request, _ATTRIBUTE, identity)
    return identity


def _ask(request: HttpRequest) -> Identity:
    header = request.headers.get("Authorization", "")
    try:
        identity = _from_token(header) if header else identity_of_user(request.user)
    except TokenUnknown:
        _tell_visitor(None)
        raise
    _tell_visitor(identity.user_id)
    return identity


def _tell_visitor(user_id: int | None) -> None:
    visitor = visitor_here()
    if visitor is not None:
        visitor.is_person(user_id)


def require(request: HttpRequest, permission: Permission) -> Identity:
    """Returns who asks, and may: what a page begins with. Raises NotPermitted, and NotIdentified, which leads a
    stranger to the sign-in page."""
    identity = identity_of(request)
    if identity.may(permission):
        return identity
    if not identity.is_known:
        raise NotIdentified("sign in first")
    if identity.role is None:
        message = f"{identity.name} has no role yet, so nothing can be shown. {whom_to_ask()}"
        raise NoRole(message)
    limited = "the token" if identity.scopes is not None else f"the role {identity.role}"
    message = f"{limited} does not allow this ({permission}). {whom_to_ask()}"
    raise PermissionMissing(message)


def whom_to_ask() -> str:
    """A sentence that names the administrators."""
    names = administrator_names()
    return f"Ask an administrator: {', '.join(names)}." if names else "There is no administrator yet."


def identity_of_scope(scope: Mapping[str, Any], *, changes: bool = False) -> Identity:
    """Returns who asks now, where ASGI itself is served. It reads the ledger, so call it in a thread.

    With `changes`, a session must also send its CSRF token from an origin of ours. Raises TokenUnknown, Forged.
    """
    request = request_of(scope)
    return _unforged(request, _ask(request), changes=changes)


def sender_of(scope: Mapping[str, Any], *, changes: bool = False) -> Identity:
    """Returns the same, but does not ask again where the gate just did. Raises TokenUnknown, Forged."""
    request = request_of(scope)
    return _unforged(request, identity_of(request), changes=changes)


def identify(scope: MutableMapping[str, Any]) -> Identity | None:
    """Finds out who asks, and notes it for whoever looks next; None for a token that opens nothing."""
    try:
        identity = _ask(request_of(scope))
    except TokenUnknown:
        identity = None
    scope[_FOUND] = _Found(identity, time.monotonic())
    return identity


def _unforged(request: HttpRequest, identity: Identity, *, changes: bool) -> Identity:
    if changes and identity.is_known and identity.token_id is None:
        refuse_forged(request)
    return identity


def _found_in(scope: Mapping[str, Any]) -> _Found | None:
    found = scope.get(_FOUND)
    return found if isinstance(found, _Found) and time.monotonic() - found.at < FRESH_SECONDS else None


def request_of(scope: Mapping[str, Any]) -> HttpRequest:
    """Cookies, session and user as Django's middleware would have found them; the body is left alone."""
    # A WebSocket's scope has no method; every other than POST keeps the CSRF check from looking for a form.
    request = ASGIRequest({**scope, "method": "GET" if scope["type"] == "websocket" else "PATCH"}, io.BytesIO())
    store = import_string(f"{settings.SESSION_ENGINE}.SessionStore")
    request.session = store(request.COOKIES.get(settings.SESSION_COOKIE_NAME))
    request.user = cast(User, SimpleLazyObject(lambda: get_user(request)))
    return request


def refuse_forged(request: HttpRequest) -> None:
    """Raises Forged where a session's change comes without the token of our own pages."""
    check = _Check(lambda _request: None)  # type: ignore[arg-type]
    check.process_request(request)
    reason = check.process_view(request, None, (), {})  # type: ignore[arg-type]
    if reason:
        raise Forged(f"the session's CSRF token is missing or wrong: {reason}")


def _from_token(header: str) -> Identity:
    token = header[len(BEARER) :].strip() if header[: len(BEARER)].lower() == BEARER else ""
    identity = identity_of_token(token) if token else None
    if identity is None:
        raise TokenUnknown
    if identity.token_id is not None:
        note_use(identity.token_id)
    return identity
