"""Signing in with a password, and the lock against guessing one."""

from __future__ import annotations

import hashlib
import logging
import unicodedata

from django.contrib.auth import authenticate, login, logout
from django.contrib.auth.models import User
from django.http import HttpRequest

from clustercore.access.adapters.counters import CountersAway
from clustercore.access.domain.addresses import household
from clustercore.access.domain.errors import RequestRefused
from clustercore.access.domain.identity import Identity
from clustercore.access.selectors import identity_of_user
from clustercore.access.services import audit, limits
from clustercore.access.services.origin import address_of

FAILURES = 10
WINDOW_SECONDS = 15 * 60
WRONG = "The name or the password is wrong."
_logger = logging.getLogger(__name__)


def sign_in(request: HttpRequest, name: str, password: str) -> User:
    """Signs the session in. Raises RequestRefused: 401 wrong, 429 locked (with the wait), 503 nobody can count.

    A try is counted before the password is looked at and taken back when it was right, so that of any number of tries
    at once no more than `FAILURES` reach the password. What is said does not tell whether the name exists.
    """
    address = address_of(request)
    buckets = (_name_bucket(name), _address_bucket(address))
    _count(buckets, name, address)
    user = authenticate(request, username=name, password=password)
    if not isinstance(user, User):
        raise RequestRefused(401, WRONG, code="wrong_credentials")
    _take_back(buckets)
    begin_session(request, user, "signed_in", address=address)
    return user


def check_password_of(request: HttpRequest, user: User, password: str) -> None:
    """Whether somebody who is signed in knows the password, under the same lock. Raises RequestRefused as above."""
    name, address = user.get_username(), address_of(request)
    buckets = (_name_bucket(name), _address_bucket(address))
    _count(buckets, name, address)
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
    """Forgets the failures counted for a name: its owner has proved who they are in another way."""
    try:
        limits.forget(_name_bucket(name))
    except CountersAway as error:
        _logger.warning("the lock of a name could not be lifted: Redis does not answer (%s)", error)


def _count(buckets: tuple[str, str], name: str, address: str) -> None:
    try:
        wait = limits.take_all(dict.fromkeys(buckets, FAILURES), WINDOW_SECONDS)
    except CountersAway as error:
        # Without counters a password could be guessed as fast as the machine answers.
        _logger.exception("sign-in is refused: Redis does not answer")
        message = "Nobody can sign in just now: the hub's Redis does not answer, so tries cannot be counted."
        raise RequestRefused(503, message, code="sign_in_unavailable", retry_after=30) from error
    if wait == 0:
        return
    _note_lock(buckets, name, address)
    minutes = -(-wait // 60)
    message = f"Too many wrong tries. Wait {minutes} minute{'s' if minutes > 1 else ''}, then try again."
    raise RequestRefused(429, message, code="locked", retry_after=wait)


def _note_lock(buckets: tuple[str, str], name: str, address: str) -> None:
    """Once for each lock: a thousand refused tries are one entry."""
    digest = hashlib.sha256(" ".join(buckets).encode()).hexdigest()[:32]
    if limits.take(f"lock-noted:{digest}", 1, WINDOW_SECONDS) == 0:
        audit.record(Identity(None, "nobody", None), "session.locked", f"name {name[:150]}", address=address)


def _take_back(buckets: tuple[str, str]) -> None:
    try:
        limits.give_back(*buckets)
    except CountersAway as error:
        _logger.warning("a right password stays counted as a try: Redis does not answer (%s)", error)


def _name_bucket(name: str) -> str:
    """Spellings that people take for the same name share a bucket; the name itself stays out of Redis."""
    same = unicodedata.normalize("NFKC", name).casefold().strip()
    return f"sign-in:name:{hashlib.sha256(same.encode()).hexdigest()[:32]}"


def _address_bucket(address: str) -> str:
    return f"sign-in:address:{household(address)}"
