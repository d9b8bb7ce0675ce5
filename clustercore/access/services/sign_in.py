"""Signing in with a password, and the locks against guessing one.

Strangers are counted by address, and together by the name that they try. Whoever comes with a browser or from an
address that this person signed in with before is counted apart from them: no stranger can shut the door to the right
person (OWASP calls such cookies "device cookies").
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from django.contrib.auth import authenticate
from django.contrib.auth.models import User

from clustercore.access.adapters.counters import CountersAway
from clustercore.access.domain.errors import NotIdentified, TooMany, Unavailable
from clustercore.access.domain.identity import Identity
from clustercore.access.services import audit, limits
from clustercore.access.services.known_devices import digest_of_name, is_known_address
from clustercore.embedded.domain.addresses import household

FAILURES = 10
"""From one address, with one known browser, or for one name from one known address."""
STRANGERS_FAILURES = 30
"""For one name, of all addresses together from which its owner never signed in: no one address can use them up."""
WINDOW_SECONDS = 15 * 60
WRONG = "The name or the password is wrong."
_logger = logging.getLogger(__name__)


class WrongCredentials(NotIdentified):
    """The name or the password is wrong, and nobody is told which."""

    code = "wrong_credentials"


class Locked(TooMany):
    """Too many wrong tries; `retry_after` says how long to wait."""

    code = "locked"


class SignInUnavailable(Unavailable):
    """Tries cannot be counted."""

    code = "sign_in_unavailable"


@dataclass(frozen=True, slots=True)
class Origin:
    """From where somebody signs in: an address, and the number of a browser that this person used before, if any."""

    address: str
    device: str | None


def authenticated(name: str, password: str, origin: Origin) -> User:
    """Returns whose name and password these are. Raises WrongCredentials, Locked, SignInUnavailable.

    A try is counted before the password is looked at and taken back when it was right, so that of any number of tries
    at once no more than the limit reach the password. What is said does not tell whether the name exists.
    """
    buckets = _count_try(name, origin)
    user = authenticate(None, username=name, password=password)
    if not isinstance(user, User):
        raise WrongCredentials(WRONG)
    _take_back(buckets)
    return user


def require_present_password(user: User, password: str, session: str, address: str) -> None:
    """Makes sure that somebody who is signed in knows the password. Raises as `authenticated` does.

    Counted by `session`, a digest: nobody but who is in it can use up its tries.
    """
    name = user.get_username()
    buckets = {f"{_buckets_of(name)}session:{session}": FAILURES}
    _count(buckets, name, address)
    if not user.check_password(password):
        raise WrongCredentials("This is not your present password.", field="current")
    _take_back(buckets)


def unlock(name: str) -> None:
    """Forgets what was tried with a name, by whomever: its owner has proved who they are in another way."""
    try:
        limits.forget_all(_buckets_of(name))
    except CountersAway as error:
        _logger.warning("the lock of a name could not be lifted: Redis does not answer (%s)", error)


def _count_try(name: str, origin: Origin) -> Mapping[str, int]:
    """Counts a try where it belongs; returns the buckets, with their limits. Raises Locked, SignInUnavailable."""
    try:
        buckets = _buckets(name, origin)
    except CountersAway as error:
        raise _uncountable() from error
    _count(buckets, name, origin.address)
    return buckets


def _buckets(name: str, origin: Origin) -> Mapping[str, int]:
    if origin.device is not None:
        return {f"{_buckets_of(name)}device:{origin.device}": FAILURES}
    where = household(origin.address)
    if is_known_address(name, origin.address):
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
    raise Locked(message, retry_after=wait)


def _uncountable() -> SignInUnavailable:
    # Without counters a password could be guessed as fast as the machine answers.
    _logger.exception("sign-in is refused: Redis does not answer")
    message = "Nobody can sign in just now: the hub's Redis does not answer, so tries cannot be counted."
    return SignInUnavailable(message, retry_after=30)


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
