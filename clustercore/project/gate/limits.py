"""How many requests a minute one person, or one unknown address, may send to the API."""

from __future__ import annotations

import logging

from django.conf import settings

from clustercore.access.adapters.counters import CountersAway
from clustercore.access.domain.errors import TooMany
from clustercore.access.domain.identity import Identity
from clustercore.access.services import limits
from clustercore.embedded.domain.addresses import household

WINDOW_SECONDS = 60

_logger = logging.getLogger(__name__)


class RateLimited(TooMany):
    """More requests in a minute than one may send."""

    code = "rate_limit_exceeded"


def refuse_haste(identity: Identity | None, address: str) -> None:
    """Counts a request of whoever sends it; None is who sends a token that opens nothing. Raises RateLimited."""
    try:
        wait = limits.take(_bucket(identity, address), settings.REQUESTS_PER_MINUTE, WINDOW_SECONDS)
    except CountersAway as error:
        # This limit guards against haste, not against strangers: to refuse everybody's work because the counters
        # are away would do what it is there to prevent. Sign-in, which guards passwords, refuses instead.
        _logger.warning("requests are not counted: Redis does not answer (%s)", error)
        return
    if wait:
        message = f"more than {settings.REQUESTS_PER_MINUTE} requests in a minute: wait {wait} s"
        raise RateLimited(message, retry_after=wait)


def _bucket(identity: Identity | None, address: str) -> str:
    """One for each person, whatever their tokens; who is not known, or sends a wrong token, counts by address."""
    if identity is None or not identity.is_known:
        return f"requests:address:{household(address)}"
    return f"requests:user:{identity.user_id}"
