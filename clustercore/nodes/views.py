"""Pages of machines: all of them, one of them, and how to add another."""

from __future__ import annotations

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from clustercore.access.domain.errors import RequestRefused
from clustercore.access.domain.roles import Permission
from clustercore.access.services import audit
from clustercore.access.services.identification import require
from clustercore.nodes import services
from clustercore.nodes.models import Node
from clustercore.nodes.selectors import node_colours, node_standings

_DEEDS = {
    "drain": (services.drain, "{} finishes what it has and takes nothing new."),
    "undrain": (services.undrain, "{} may take work again."),
}


@require_safe
@never_cache
def node_list(request: HttpRequest) -> HttpResponse:
    """Every machine that ever joined, live ones first."""
    require(request, Permission.VIEW)
    nodes = node_standings()
    live = [node for node in nodes if node.is_live]
    away = [node for node in nodes if not node.is_live]
    return render(request, "nodes/list.html", {"live": live, "away": away, "colours": node_colours()})


@require_safe
@never_cache
def node_detail(request: HttpRequest, name: str) -> HttpResponse:
    """One machine: what it can do, holds and did, and why it does not work."""
    require(request, Permission.VIEW)
    found = node_standings(Node.objects.filter(name=name))
    if not found:
        raise _no_node(name)
    return render(request, "nodes/detail.html", {"node": found[0], "colours": node_colours()})


@require_POST
def act(request: HttpRequest, name: str, verb: str) -> HttpResponse:
    """Drains or undrains, and goes back to the node."""
    identity = require(request, Permission.NODES)
    deed, says = _DEEDS[verb]
    with transaction.atomic():
        if not deed(name):
            raise _no_node(name)
        audit.record(identity, f"nodes.{verb}", f"node {name}")
    messages.success(request, says.format(name))
    return HttpResponseRedirect(reverse("nodes:detail", args=[name]))


@require_POST
def forget(request: HttpRequest, name: str) -> HttpResponse:
    """Takes a machine that is gone off the lists; what it did stays told with its jobs."""
    identity = require(request, Permission.NODES)
    try:
        with transaction.atomic():
            if not services.forget(name):
                raise _no_node(name)
            audit.record(identity, "nodes.forget", f"node {name}")
    except services.StillThere as reason:
        messages.warning(request, f"Not done: {reason}.")
        return HttpResponseRedirect(reverse("nodes:detail", args=[name]))
    messages.success(request, f"{name} is off the list. Should it come back, it joins anew.")
    return HttpResponseRedirect(reverse("nodes:list"))


def _no_node(name: str) -> RequestRefused:
    return RequestRefused(404, f"there is no node {name[:120]!r}", code="not_found")
