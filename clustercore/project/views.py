"""Health, for load balancers and supervisors, and the way to the admin."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from clustercore.project import health


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
