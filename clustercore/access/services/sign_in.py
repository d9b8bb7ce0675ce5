"""Signing in with a password, and the locks against guessing one.

Strangers are counted by address, and together by the name that they try. Whoever comes with a browser or from an
address that this person signed in with before is counted apart from them: no stranger can shut the door to the right
person (OWASP calls such cookies "device cookies").
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping

from django.contrib.auth import authenticate, login, logout
from django.contrib.auth.models import User
from django.http import HttpRequest

from clustercore.access.adapters.counters import CountersAway
from clustercore.access.domain.errors import RequestRefused
from clustercore.access.domain.identity import Identity
from clustercore.access.selectors import identity_of_user
from clustercore.access.services import audit, limits
from clustercore.access.services.known_devices import device_of, digest_of_name, is_known_address
from clustercore.access.services.origin import address_of
from clustercore.embedded.domain.addresses import household

FAILURES = 10
"""From one address, with one known browser, or for one name from one known address."""
STRANGERS_FAILURES = 30
"""For one name, of all addresses together from which its owner never signed in: no one address can use them up."""
WINDOW_SECONDS = 15 * 60
WRONG = "The name or the password is wrong."
_logger = logging.getLogger(__name__)


def sign_in(request: HttpRequest, name: str, password: str) -> User:
    """Signs the session in. Raises RequestRefused: 401 wrong, 429 locked (with the wait), 503 nobody can count.

    A try is counted before the password is looked at and taken back when it was right, so that of any number of tries
    at once no more than the limit reach the password. What is said does not tell whether the name exists.
    """
    address = address_of(request)
    buckets = _count_try(request, name, address)
    user = authenticate(request, username=name, password=password)
    if not isinstance(user, User):
        raise RequestRefused(401, WRONG, code="wrong_credentials")
    _take_back(buckets)
    begin_session(request, user, "signed_in", address=address)
    return user


def check_password_of(request: HttpRequest, user: User, password: str) -> None:
    """Whether somebody who is signed in knows the password. Raises RequestRefused as above.

    Counted by session: nobody but who is in it can use up its tries.
    """
    key = hashlib.sha256(str(request.session.session_key).encode()).hexdigest()[:32]
    name = user.get_username()
    buckets = {f"{_buckets_of(name)}session:{key}": FAILURES}
    _count(buckets, name, address_of(request))
    if not user.check_password(password):
        raise RequestRefused(401, "This is not your present password.", param="current", code="wrong_credentials")
    _take_back(buckets)


def begin_session(request: HttpRequest, user: User, action: str, **detail: str) -> None:
    """Signs `user` in on this session, whose key changes with it."""
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    audit.record(identity_of_user(user), f"session.{action}", f"user {user.get_username()}", **detail)


def sign_out(request: HttpRequest, identity: Identity) -> None:
    """Ends the session."""
    logout(request)
    audit.record(identity, "session.signed_out", f"user {identity.name}")


def unlock(name: str) -> None:
    """Forgets what was tried with a name, by whomever: its owner has proved who they are in another way."""
    try:
        limits.forget_all(_buckets_of(name))
    except CountersAway as error:
        _logger.warning("the lock of a name could not be lifted: Redis does not answer (%s)", error)


def _count_try(request: HttpRequest, name: str, address: str) -> Mapping[str, int]:
    """Counts a try where it belongs; returns the buckets, with their limits. Raises RequestRefused: 429, 503."""
    try:
        buckets = _buckets(request, name, address)
    except CountersAway as error:
        raise _uncountable() from error
    _count(buckets, name, address)
    return buckets


def _buckets(request: HttpRequest, name: str, address: str) -> Mapping[str, int]:
    device = device_of(request, name)
    if device is not None:
        return {f"{_buckets_of(name)}device:{device}": FAILURES}
    where = household(address)
    if is_known_address(name, address):
        # By name as well: neighbours behind the same address lock themselves out, and nobody else.
        return {f"{_buckets_of(name)}known:{where}": FAILURES}
    return {f"sign-in:address:{where}": FAILURES, f"{_buckets_of(name)}strangers": STRANGERS_FAILURES}


def _count(buckets: Mapping[str, int], name: str, address: str) -> None:
    try:
        wait = limits.take_all(buckets, WINDOW_SECONDS)
    except CountersAway as error:
        raise _uncountable() from error
    if wait == 0:
        return
    _note_lock(name, address)
    minutes = -(-wait // 60)
    message = f"Too many wrong tries. Wait {minutes} minute{'s' if minutes > 1 else ''}, then try again."
    raise RequestRefused(429, message, code="locked", retry_after=wait)


def _uncountable() -> RequestRefused:
    # Without counters a password could be guessed as fast as the machine answers.
    _logger.exception("sign-in is refused: Redis does not answer")
    message = "Nobody can sign in just now: the hub's Redis does not answer, so tries cannot be counted."
    return RequestRefused(503, message, code="sign_in_unavailable", retry_after=30)


def _note_lock(name: str, address: str) -> None:
    """Once for a name or an address: a thousand refused tries, or names, or addresses, are one entry."""
    noted = {f"lock-noted:name:{digest_of_name(name)}": 1, f"lock-noted:address:{household(address)}": 1}
    try:
        is_first = limits.take_all(noted, WINDOW_SECONDS) == 0
    except CountersAway as error:
        _logger.warning("the lock of a name is not in the audit log: Redis does not answer (%s)", error)
        return
    if is_first:
        audit.record(Identity(None, "nobody", None), "session.locked", f"name {name[:150]}", address=address)


def _take_back(buckets: Mapping[str, int]) -> None:
    try:
        limits.give_back(*buckets)
    except CountersAway as error:
        _logger.warning("a right password stays counted as a try: Redis does not answer (%s)", error)


def _buckets_of(name: str) -> str:
    """What all buckets of one name begin with."""
    return f"sign-in:name:{digest_of_name(name)}:"
