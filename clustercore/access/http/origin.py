"""Where a request came from."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest

from clustercore.access.domain.addresses import client_address


def address_of(request: HttpRequest) -> str:
    """The client's address. X-Forwarded-For counts only from a proxy that CLUSTERCORE_TRUSTED_PROXIES names."""
    peer = request.META.get("REMOTE_ADDR", "")
    return client_address(peer, request.META.get("HTTP_X_FORWARDED_FOR", ""), settings.TRUSTED_PROXIES)
