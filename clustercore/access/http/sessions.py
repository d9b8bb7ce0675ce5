"""Sessions of browsers: begun with a password or a link, ended, and what a browser keeps beside them."""

from __future__ import annotations

import hashlib

from django.contrib.auth import login, logout
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from clustercore.access.domain.identity import Identity
from clustercore.access.http.origin import address_of
from clustercore.access.selectors import identity_of_user
from clustercore.access.services import audit
from clustercore.access.services.known_devices import KNOWN_SECONDS, device_in, remember_address, with_device
from clustercore.access.services.sign_in import Origin, authenticated, require_present_password

COOKIE = "known_device"


def sign_in(request: HttpRequest, name: str, password: str) -> User:
    """Signs the session in. Raises WrongCredentials, Locked, SignInUnavailable."""
    origin = Origin(address_of(request), device_in(request.COOKIES.get(COOKIE, ""), name))
    user = authenticated(name, password, origin)
    begin_session(request, user, "signed_in", address=origin.address)
    return user


def check_password_of(request: HttpRequest, user: User, password: str) -> None:
    """Makes sure that who is signed in knows the password. Raises as `sign_in` does."""
    session = hashlib.sha256(str(request.session.session_key).encode()).hexdigest()[:32]
    require_present_password(user, password, session, address_of(request))


def begin_session(request: HttpRequest, user: User, action: str, **detail: str) -> None:
    """Signs `user` in on this session, whose key changes with it."""
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    audit.record(identity_of_user(user), f"session.{action}", f"user {user.get_username()}", **detail)


def remember(request: HttpRequest, response: HttpResponseBase, name: str) -> None:
    """Notes that this person has signed in with this browser, and from this address."""
    kept = with_device(request.COOKIES.get(COOKIE, ""), name)
    response.set_cookie(COOKIE, kept, max_age=KNOWN_SECONDS, httponly=True, samesite="Lax")
    remember_address(name, address_of(request))


def sign_out(request: HttpRequest, identity: Identity) -> None:
    """Ends the session."""
    logout(request)
    audit.record(identity, "session.signed_out", f"user {identity.name}")
