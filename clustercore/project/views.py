"""Health, for load balancers and supervisors, and what every page shows around its content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import NoReverseMatch, reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from clustercore.access.domain.errors import Refused
from clustercore.access.domain.identity import ANONYMOUS, Identity
from clustercore.access.domain.roles import Permission
from clustercore.access.http.identification import identity_of, require
from clustercore.jobs.domain.chart import chart_of
from clustercore.jobs.domain.figures import figures_of
from clustercore.jobs.selectors.job_lists import failures, open_jobs, recent_jobs
from clustercore.jobs.selectors.node_load import minutes_of_the_last_hour
from clustercore.jobs.selectors.presenting import starts
from clustercore.jobs.selectors.visibility import visible_jobs
from clustercore.nodes.selectors import node_colours, node_statuses
from clustercore.project import health

# Title, URL name, and what it takes to see the entry.
_NAVIGATION = (
    ("Home", "home", Permission.VIEW),
    ("Jobs", "jobs:list", Permission.VIEW),
    ("Nodes", "nodes:list", Permission.VIEW),
)
_STARTS_AT = 2
"""The place in the navigation of what each kind of job starts with."""
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
    started = [_entry(action, url, request.path) for action, url in starts(identity)]
    navigation = _entries(_NAVIGATION, identity, request.path)
    return {
        "identity": identity,
        "can": {permission.value: identity.may(permission) for permission in Permission},
        "starts": started,
        "navigation": [*navigation[:_STARTS_AT], *started, *navigation[_STARTS_AT:]],
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
    except Refused:
        return ANONYMOUS


def _entries(
    wanted: Sequence[tuple[str, str, Permission]], identity: Identity, here: str
) -> list[Mapping[str, str | bool]]:
    entries = [(title, _address(name)) for title, name, permission in wanted if identity.may(permission)]
    return [_entry(title, url, here) for title, url in entries if url]


def _entry(title: str, url: str, here: str) -> Mapping[str, str | bool]:
    return {"title": title, "url": url, "current": _is_below(here, url)}


def _address(name: str) -> str:
    try:
        return reverse(name)
    except NoReverseMatch:
        return ""


def _is_below(here: str, url: str) -> bool:
    return here == url if url == "/" else bool(url) and here.startswith(url)


@require_safe
@never_cache
def home(request: HttpRequest) -> HttpResponse:
    """The cluster now: what runs, on which machines, what waits and why, what failed, what came out."""
    identity = require(request, Permission.VIEW)
    jobs = visible_jobs(identity)
    nodes = node_statuses()
    minutes = minutes_of_the_last_hour()
    bad, opened = failures(jobs), open_jobs(jobs)
    context = {
        "figures": figures_of(nodes, minutes),
        "chart": chart_of(minutes),
        "nodes": nodes,
        "colours": node_colours(),
        "open": opened.rows,
        "more_open": opened.more,
        "recent": recent_jobs(jobs),
        "causes": bad.causes,
        "failed": bad.failed,
    }
    context["is_fresh"] = not (context["open"] or context["recent"] or context["causes"] or jobs.exists())
    return render(request, "project/home.html", context)


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
