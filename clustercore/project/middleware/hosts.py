"""Names and origins: a browser is served only under our own names, and changes things only from our own pages."""

from __future__ import annotations

import socket
from functools import lru_cache
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from clustercore.access.domain.addresses import is_among
from clustercore.access.domain.hosts import host_name, is_own_name, is_own_origin
from clustercore.access.http.refusals import RequestRefused
from clustercore.project.middleware.errors import is_for_programs, refusal
from clustercore.project.middleware.passage import Passage

FREE_PREFIXES = ("/blobs/",)
FREE_PATHS = ("/healthz", "/readyz")
"""Nodes and probes use whatever name they were given; signatures guard the blobs, and health holds no secret."""

SAFE_METHODS = ("GET", "HEAD", "OPTIONS", "TRACE")


class Hosts(Passage):
    """Turns away DNS rebinding (a stranger's name for our address) and what foreign pages send with our cookies."""

    def before(self, request: HttpRequest) -> HttpResponse | None:
        if not is_among(request.META.get("REMOTE_ADDR", ""), settings.TRUSTED_PROXIES):
            # Django reads it to tell whether a request came by TLS.
            request.META.pop("HTTP_X_FORWARDED_PROTO", None)
        refused = refused_place(request)
        return _plainly(request, refused) if refused is not None else None


def refused_place(request: HttpRequest) -> RequestRefused | None:
    """Why a request is not served under this name, or not from this origin."""
    if request.path.startswith(FREE_PREFIXES) or request.path in FREE_PATHS:
        return None
    # HTTP/1.0 may leave it out: then it is the address that the client connected to.
    header = request.META.get("HTTP_HOST", request.META.get("SERVER_NAME", ""))
    name = host_name(header)
    if name is None:
        return RequestRefused(400, "the Host header is malformed", code="bad_host")
    if not is_own_name(name, own_names()):
        return _unknown_name(name)
    if _is_foreign_change(request, header):
        message = "this came from another site's page, in your name: nothing was done"
        return RequestRefused(403, message, code="foreign_origin")
    return None


def own_names() -> frozenset[str]:
    """The names under which this hub may be reached, beside every address."""
    hub = urlsplit(settings.HUB_URL or "").hostname
    return frozenset({"localhost", *_machine_names(), *([hub] if hub else []), *settings.ALLOWED_NAMES})


@lru_cache(maxsize=1)
def _machine_names() -> frozenset[str]:
    machine = socket.gethostname().lower()
    short = machine.partition(".")[0]
    return frozenset({machine, short, f"{short}.local"})


def _is_foreign_change(request: HttpRequest, host: str) -> bool:
    origin = request.META.get("HTTP_ORIGIN")
    if request.method in SAFE_METHODS or origin is None or settings.SESSION_COOKIE_NAME not in request.COOKIES:
        return False
    return not is_own_origin(origin, host)


def _unknown_name(name: str) -> RequestRefused:
    message = (
        f"this hub does not answer to the name {name!r}. Use its address, or allow the name on the hub: "
        f"CLUSTERCORE_ALLOWED_HOSTS='[\"{name}\"]'"
    )
    return RequestRefused(421, message, code="unknown_host")


def _plainly(request: HttpRequest, refused: RequestRefused) -> HttpResponse:
    """Without a page: that would read the session of whoever is being impersonated."""
    if is_for_programs(request.path):
        return refusal(request, refused)
    return HttpResponse(refused.message + "\n", status=refused.status, content_type="text/plain; charset=utf-8")
