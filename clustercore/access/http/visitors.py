"""Who is behind a request, as far as its head tells: decides in which lane it waits for a turn, and nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from django.conf import settings

from clustercore.access.domain.turns import Turns
from clustercore.access.http.origin import address_in
from clustercore.access.services.turns import Visitor, Waiter


def visitor_of(scope: Mapping[str, Any], turns: Turns[Waiter]) -> Visitor:
    """Returns the visitor of an ASGI scope."""
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    return Visitor(address_in(scope), _credential_of(headers), turns)


def _credential_of(headers: Mapping[str, str]) -> str:
    """A digest: tokens and sessions stay out of lists. Empty where nothing was sent."""
    sent = headers.get("authorization", "")
    if not sent:
        cookies = (pair.partition("=") for pair in headers.get("cookie", "").split(";"))
        sent = next((value for name, _, value in cookies if name.strip() == settings.SESSION_COOKIE_NAME), "")
    return hashlib.sha256(sent.encode()).hexdigest() if sent else ""
