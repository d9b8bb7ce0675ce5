"""Names and origins: a browser is served only under our own names, and changes things only from our own pages.

Turns away DNS rebinding (a stranger's name for our address), and what foreign pages send with our cookies.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http import parse_cookie

from clustercore.access.domain.addresses import is_among
from clustercore.access.domain.hosts import host_name, is_own_name, is_own_origin
from clustercore.access.http.refusals import RequestRefused

Scope = Mapping[str, Any]

FREE_PREFIXES = ("/blobs/",)
FREE_PATHS = ("/healthz", "/readyz")
"""Nodes and probes use whatever name they were given; signatures guard the blobs, and health holds no secret."""

SAFE_METHODS = ("GET", "HEAD", "OPTIONS", "TRACE")


def heard(scope: Scope) -> dict[str, Any]:
    """Returns the scope as it is believed: only a trusted proxy can say that it was asked by TLS."""
    name = b"x-forwarded-proto"
    kept = [(one, value) for one, value in scope["headers"] if one.lower() != name]
    if len(kept) == len(scope["headers"]):
        return dict(scope)
    if not is_among((scope.get("client") or ("", 0))[0], settings.TRUSTED_PROXIES):
        return {**scope, "headers": kept}
    said = headers_of(scope)["x-forwarded-proto"].partition(",")[0].strip()
    return {**scope, "headers": kept, "scheme": "https" if said == "https" else "http"}


def refuse_foreign(scope: Scope) -> None:
    """Makes sure that a request comes under a name of ours, and a change from a page of ours. Raises RequestRefused."""
    if scope["path"].startswith(FREE_PREFIXES) or scope["path"] in FREE_PATHS:
        return
    headers = headers_of(scope)
    # HTTP/1.0 may leave it out: then it is the address that the client connected to.
    host = headers.get("host", str((scope.get("server") or ("", 0))[0]))
    name = host_name(host)
    if name is None:
        raise RequestRefused(400, "the Host header is malformed", code="bad_host")
    if not is_own_name(name, own_names()):
        message = (
            f"this hub does not answer to the name {name!r}. Use its address, or allow the name on the hub: "
            f"CLUSTERCORE_ALLOWED_HOSTS='[\"{name}\"]'"
        )
        raise RequestRefused(421, message, code="unknown_host")
    if _is_foreign_change(scope["method"], headers, host):
        message = "this came from another site's page, in your name: nothing was done"
        raise RequestRefused(403, message, code="foreign_origin")


def may_open_socket(scope: Scope) -> bool:
    """Returns whether a handshake comes from a page of ours, under a name of ours, or from a program with a token.

    Browsers send cookies with it from any page, and ask no one (cross-site hijacking).
    """
    headers = headers_of(scope)
    host = headers.get("host", "")
    name = host_name(host)
    if name is None or not is_own_name(name, own_names()):
        return False
    origin = headers.get("origin")
    if origin is None:
        # Every browser names its page; what has a cookie and no page is not one.
        return "authorization" in headers
    return is_own_origin(origin, host)


def own_names() -> frozenset[str]:
    """Returns the names under which this hub may be reached, beside every address."""
    hub = urlsplit(settings.HUB_URL or "").hostname
    return frozenset({"localhost", *_machine_names(), *([hub] if hub else []), *settings.ALLOWED_NAMES})


def headers_of(scope: Scope) -> dict[str, str]:
    """Returns the headers as Django reads them: of one that was sent twice both, so that none hides the other."""
    found: dict[str, str] = {}
    for raw, value in scope["headers"]:
        name, text = raw.decode("latin-1").lower(), value.decode("latin-1")
        found[name] = f"{found[name]}{'; ' if name == 'cookie' else ','}{text}" if name in found else text
    return found


@lru_cache(maxsize=1)
def _machine_names() -> frozenset[str]:
    machine = socket.gethostname().lower()
    short = machine.partition(".")[0]
    return frozenset({machine, short, f"{short}.local"})


def _is_foreign_change(method: str, headers: Mapping[str, str], host: str) -> bool:
    origin = headers.get("origin")
    if method in SAFE_METHODS or origin is None:
        return False
    return settings.SESSION_COOKIE_NAME in parse_cookie(headers.get("cookie", "")) and not is_own_origin(origin, host)
