"""From where a person signed in before: the browsers, by a signed value, and the addresses, remembered in Redis.

What strangers do with a name must not be counted against whoever comes from there. Neither opens anything: the password
is asked for as ever, and tries from there have a limit of their own.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import unicodedata

from django.core import signing

from clustercore.access.adapters import counters
from clustercore.access.adapters.counters import CountersAway
from clustercore.embedded.domain.addresses import household

KNOWN_SECONDS = 180 * 86_400
MOST_NAMES = 5
"""Of people who share a browser; the one who signed in longest ago is forgotten first."""
_SALT = "clustercore.access.known_devices"
_logger = logging.getLogger(__name__)


def digest_of_name(name: str) -> str:
    """Returns the same for spellings that people take for the same name, which stays out of Redis and cookies."""
    same = unicodedata.normalize("NFKC", name).casefold().strip()
    return hashlib.sha256(same.encode()).hexdigest()[:32]


def device_in(signed: str, name: str) -> str | None:
    """Returns the number of the browser that keeps `signed`, if this person signed in with it before."""
    return _devices(signed).get(digest_of_name(name))


def with_device(signed: str, name: str) -> str:
    """Returns what the browser that kept `signed` is to keep now that this person has signed in with it."""
    digest = digest_of_name(name)
    devices = _devices(signed)
    # Last in the order of names is who signed in last.
    number = devices.pop(digest, None) or secrets.token_urlsafe(12)
    return signing.dumps(dict([*devices.items(), (digest, number)][-MOST_NAMES:]), salt=_SALT)


def is_known_address(name: str, address: str) -> bool:
    """Returns whether this person signed in from there before. Raises CountersAway."""
    return counters.is_marked(_mark(name, address))


def remember_address(name: str, address: str) -> None:
    """Notes that this person has signed in from there."""
    try:
        counters.mark(_mark(name, address), KNOWN_SECONDS)
    except CountersAway as error:
        _logger.warning("an address is not remembered: Redis does not answer (%s)", error)


def _devices(signed: str) -> dict[str, str]:
    try:
        found = signing.loads(signed, salt=_SALT, max_age=KNOWN_SECONDS)
    except signing.BadSignature:
        return {}
    return {str(name): str(number) for name, number in found.items()}


def _mark(name: str, address: str) -> str:
    return f"known:{digest_of_name(name)}:{household(address)}"
