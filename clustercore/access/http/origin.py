"""Where a request came from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from clustercore.access.domain.addresses import client_address


def address_in(scope: Mapping[str, Any]) -> str:
    """Returns the client's address, as `address_of` does, of an ASGI scope."""
    peer = (scope.get("client") or ("", 0))[0]
    claimed = [value.decode("latin-1") for name, value in scope["headers"] if name.lower() == b"x-forwarded-for"]
    return client_address(peer, ",".join(claimed), settings.TRUSTED_PROXIES)


def address_of(request: HttpRequest) -> str:
    """Returns the client's address. X-Forwarded-For counts only from a proxy that CLUSTERCORE_TRUSTED_PROXIES names."""
    peer = request.META.get("REMOTE_ADDR", "")
    return client_address(peer, request.META.get("HTTP_X_FORWARDED_FOR", ""), settings.TRUSTED_PROXIES)
