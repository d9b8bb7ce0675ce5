"""Health, for load balancers and supervisors, and what every page shows around its content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import NoReverseMatch, reverse
from django.views.decorators.http import require_safe

from clustercore.access.domain.errors import RequestRefused
from clustercore.access.domain.identity import ANONYMOUS, Identity
from clustercore.access.domain.roles import Permission
from clustercore.access.services.identification import identity_of
from clustercore.project import health

# Title, URL name, and what it takes to see the entry.
_NAVIGATION = (
    ("Home", "home", Permission.VIEW),
    ("Jobs", "jobs:list", Permission.VIEW),
    ("Transcribe", "transcription:new", Permission.SUBMIT),
    ("Nodes", "nodes:list", Permission.VIEW),
)
_ADMINISTRATION = (
    ("People", "access:people", Permission.ADMINISTER),
    ("Audit", "access:audit", Permission.ADMINISTER),
    ("Admin", "admin:index", Permission.ADMINISTER),
    ("Flower", "flower", Permission.ADMINISTER),
)


def frame(request: HttpRequest) -> dict[str, Any]:
    """Context of every template: `identity`, what it may do (`can.submit`), and the navigation that it gets."""
    identity = _identity(request)
    administration = _entries(_ADMINISTRATION, identity, request.path)
    return {
        "identity": identity,
        "can": {permission.value: identity.may(permission) for permission in Permission},
        "navigation": _entries(_NAVIGATION, identity, request.path),
        "administration": administration,
        "administration_current": any(entry["current"] for entry in administration),
        "account_current": _is_below(request.path, _address("access:account")),
    }


def _identity(request: HttpRequest) -> Identity:
    # What failed before the session was read, such as an unknown host, has no user.
    if not hasattr(request, "user"):
        return ANONYMOUS
    try:
        return identity_of(request)
    except RequestRefused:
        return ANONYMOUS


def _entries(
    wanted: Sequence[tuple[str, str, Permission]], identity: Identity, here: str
) -> list[Mapping[str, str | bool]]:
    entries = [(title, _address(name)) for title, name, permission in wanted if identity.may(permission)]
    return [{"title": title, "url": url, "current": _is_below(here, url)} for title, url in entries if url]


def _address(name: str) -> str:
    try:
        return reverse(name)
    except NoReverseMatch:
        return ""


def _is_below(here: str, url: str) -> bool:
    return here == url if url == "/" else bool(url) and here.startswith(url)


@require_safe
async def alive(_request: HttpRequest) -> HttpResponse:
    """200 as long as this process answers at all."""
    return HttpResponse("ok\n", content_type="text/plain; charset=utf-8", headers={"Cache-Control": "no-store"})


@require_safe
async def ready(_request: HttpRequest) -> HttpResponse:
    """200 or 503, with what is wrong: `{"ready": false, "checks": {"broker": {"ok": false, "reason": "…"}}}`."""
    reasons = await health.readiness(health.CHECKS)
    is_ready = not any(reasons.values())
    checks = {name: {"ok": not reason, "reason": reason} for name, reason in reasons.items()}
    body = {"ready": is_ready, "checks": checks}
    return JsonResponse(body, status=200 if is_ready else 503, headers={"Cache-Control": "no-store"})
