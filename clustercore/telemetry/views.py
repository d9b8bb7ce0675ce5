"""Metrics for Prometheus."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from clustercore.access.domain.roles import Permission
from clustercore.access.http.identification import require
from clustercore.telemetry.services.metrics import exposition


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Every metric, read now; for whoever may, by session or by a token with the scope `metrics`."""
    require(request, Permission.METRICS)
    told = exposition(request.headers.get("Accept", ""))
    return HttpResponse(told.body, content_type=told.content_type, headers={"Cache-Control": "no-store"})
