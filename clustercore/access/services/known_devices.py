"""From where a person signed in before: the browsers, by a signed cookie, and the addresses, remembered in Redis.

What strangers do with a name must not be counted against whoever comes from there. Neither opens anything: the password
is asked for as ever, and tries from there have a limit of their own.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import unicodedata

from django.core import signing
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from clustercore.access.adapters import counters
from clustercore.access.adapters.counters import CountersAway
from clustercore.access.services.origin import address_of
from clustercore.embedded.domain.addresses import household

COOKIE = "known_device"
KNOWN_SECONDS = 180 * 86_400
MOST_NAMES = 5
"""Of people who share a browser; the one who signed in longest ago is forgotten first."""
_SALT = "clustercore.access.known_devices"
_logger = logging.getLogger(__name__)


def digest_of_name(name: str) -> str:
    """The same for spellings that people take for the same name, which itself stays out of Redis and cookies."""
    same = unicodedata.normalize("NFKC", name).casefold().strip()
    return hashlib.sha256(same.encode()).hexdigest()[:32]


def device_of(request: HttpRequest, name: str) -> str | None:
    """The number of this browser, if this person signed in with it before."""
    return _devices(request).get(digest_of_name(name))


def is_known_address(name: str, address: str) -> bool:
    """Whether this person signed in from there before. Raises CountersAway."""
    return counters.is_marked(_mark(name, address))


def remember(request: HttpRequest, response: HttpResponseBase, name: str) -> None:
    """Notes that this person has signed in with this browser, and from this address."""
    digest = digest_of_name(name)
    devices = _devices(request)
    # Last in the order of names is who signed in last.
    number = devices.pop(digest, None) or secrets.token_urlsafe(12)
    kept = dict([*devices.items(), (digest, number)][-MOST_NAMES:])
    response.set_cookie(COOKIE, signing.dumps(kept, salt=_SALT), max_age=KNOWN_SECONDS, httponly=True, samesite="Lax")
    try:
        counters.mark(_mark(name, address_of(request)), KNOWN_SECONDS)
    except CountersAway as error:
        _logger.warning("an address is not remembered: Redis does not answer (%s)", error)


def _devices(request: HttpRequest) -> dict[str, str]:
    try:
        found = signing.loads(request.COOKIES.get(COOKIE, ""), salt=_SALT, max_age=KNOWN_SECONDS)
    except signing.BadSignature:
        return {}
    return {str(name): str(number) for name, number in found.items()}


def _mark(name: str, address: str) -> str:
    return f"known:{digest_of_name(name)}:{household(address)}"
