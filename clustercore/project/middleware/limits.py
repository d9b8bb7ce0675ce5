"""How many requests a minute one person, or one unknown address, may send to the API."""

from __future__ import annotations

import logging

from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from clustercore.access.adapters.counters import CountersAway
from clustercore.access.domain.errors import Refused, TooMany
from clustercore.access.http.identification import identity_of
from clustercore.access.http.origin import address_of
from clustercore.access.http.refusals import answer_to
from clustercore.access.services import limits
from clustercore.embedded.domain.addresses import household
from clustercore.project.middleware.errors import PROGRAM_PREFIXES, ledger_away, refusal
from clustercore.project.middleware.passage import Passage

WINDOW_SECONDS = 60
COUNTED = "clustercore.counted"
"""The key in the scope of a request that was counted before Django saw it."""

_logger = logging.getLogger(__name__)


class RateLimited(TooMany):
    """More requests in a minute than one may send."""

    code = "rate_limit_exceeded"


class Limits(Passage):
    """Innermost: who asks must be known by now."""

    def __call__(self, request: HttpRequest):  # type: ignore[no-untyped-def]
        if not request.path.startswith(PROGRAM_PREFIXES):
            return self.get_response(request)
        return super().__call__(request)

    async def _pass_async(self, request: HttpRequest) -> HttpResponseBase:
        # Who asks is read from the ledger: in the one thread that serves all of this request's synchronous parts.
        early = await sync_to_async(self.before)(request)
        response: HttpResponseBase = early or await self.get_response(request)
        return response

    def before(self, request: HttpRequest) -> HttpResponse | None:
        if isinstance(request, ASGIRequest) and COUNTED in request.scope:
            return None
        try:
            refused = refused_haste(request)
        except (OperationalError, InterfaceError) as error:
            return ledger_away(request, error)
        return refusal(request, answer_to(refused)) if refused is not None else None


def refused_haste(request: HttpRequest) -> RateLimited | None:
    """Counts a request of whoever sends it; why it is not served, if it is one too many."""
    if not request.path.startswith(PROGRAM_PREFIXES):
        return None
    try:
        wait = limits.take(_bucket(request), settings.REQUESTS_PER_MINUTE, WINDOW_SECONDS)
    except CountersAway as error:
        # This limit guards against haste, not against strangers: to refuse everybody's work because the counters
        # are away would do what it is there to prevent. Sign-in, which guards passwords, refuses instead.
        _logger.warning("requests are not counted: Redis does not answer (%s)", error)
        return None
    if wait == 0:
        return None
    message = f"more than {settings.REQUESTS_PER_MINUTE} requests in a minute: wait {wait} s"
    return RateLimited(message, retry_after=wait)


def _bucket(request: HttpRequest) -> str:
    """One for each person, whatever their tokens; who is not known, or sends a wrong token, counts by address."""
    try:
        identity = identity_of(request)
    except Refused:
        identity = None
    if identity is None or not identity.is_known:
        return f"requests:address:{household(address_of(request))}"
    return f"requests:user:{identity.user_id}"
