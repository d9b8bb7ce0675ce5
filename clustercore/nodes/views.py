"""Pages of machines: all of them, one of them, and how to add another."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from clustercore.access.domain.roles import Permission
from clustercore.access.http.identification import require
from clustercore.access.http.refusals import RequestRefused
from clustercore.access.services import audit
from clustercore.blobs.domain.errors import BlobUnavailable
from clustercore.blobs.domain.signing import refusal
from clustercore.blobs.selectors import hub_now
from clustercore.blobs.views import FileBlocks, ranged_answer
from clustercore.config.environment import environment
from clustercore.nodes import services
from clustercore.nodes.adapters.model_store import list_models, stored_file
from clustercore.nodes.adapters.own_wheel import own_wheel, own_wheel_name
from clustercore.nodes.domain.joining import INSTALL_FROM_CLONE, install_command
from clustercore.nodes.domain.model_catalogue import CATALOGUE, ModelStoreError
from clustercore.nodes.domain.model_record import signed_name
from clustercore.nodes.models import Node
from clustercore.nodes.selectors import node_colours, node_statuses
from clustercore.nodes.services.model_pulls import ask_for_model

_DEEDS = {
    "drain": (services.drain, "{} finishes what it has and takes nothing new."),
    "undrain": (services.undrain, "{} may take work again."),
}


@require_safe
@never_cache
def node_list(request: HttpRequest) -> HttpResponse:
    """Every machine that ever joined, live ones first."""
    identity = require(request, Permission.VIEW)
    nodes = node_statuses()
    live = [node for node in nodes if node.is_live]
    away = [node for node in nodes if not node.is_live]
    offers = _offers() if identity.may(Permission.NODES) else []
    about = {"live": live, "away": away, "colours": node_colours(), "offers": offers, **_installing(request)}
    return render(request, "nodes/list.html", about)


def _installing(request: HttpRequest) -> dict[str, object]:
    try:
        packed = own_wheel()
    except PackageNotFoundError:
        return {"install": INSTALL_FROM_CLONE, "from_clone": True}
    address = request.build_absolute_uri(reverse("nodes:wheel", args=[packed.name]))
    return {"install": install_command(address, packed.sha256), "from_clone": False}


@require_safe
@never_cache
def node_detail(request: HttpRequest, name: str) -> HttpResponse:
    """One machine: what it can do, holds and did, and why it does not work."""
    require(request, Permission.VIEW)
    found = node_statuses(Node.objects.filter(name=name))
    if not found:
        raise _no_node(name)
    return render(request, "nodes/detail.html", {"node": found[0], "colours": node_colours()})


@require_POST
def pull_model(request: HttpRequest) -> HttpResponse:
    """Asks the nodes that were chosen to bring a model."""
    identity = require(request, Permission.NODES)
    label, chosen = request.POST.get("label", ""), request.POST.getlist("node")
    try:
        with transaction.atomic():
            asked = ask_for_model(label, chosen)
            for name in asked:
                audit.record(identity, "nodes.pull_model", f"node {name}", model=label[:100])
    except ModelStoreError as refused:
        messages.warning(request, f"Not done: {refused.message}.")
        return HttpResponseRedirect(reverse("nodes:list"))
    if asked:
        messages.success(request, f"{', '.join(asked)} will bring {label}; how far it is stands with each machine.")
    else:
        messages.warning(request, "Not done: choose at least one machine.")
    return HttpResponseRedirect(reverse("nodes:list"))


@require_safe
def hub_model(request: HttpRequest, engine: str, model: str, file_name: str) -> HttpResponseBase:
    """One file of the hub's own models, by signed address: 200, 206, 304, 403, 404, 416."""
    place = f"{engine}/{model}/{file_name}"
    try:
        hub = hub_now()
    except BlobUnavailable as away:
        return _plain(503, str(away))
    refused = refusal(
        hub.hub.signing_key,
        request.method or "",
        signed_name(place),
        expires=request.GET.get("expires", ""),
        given=request.GET.get("signature", ""),
        now=hub.now.timestamp(),
    )
    if refused is not None:
        return _plain(403, refused.value)
    found = stored_file(engine, model, file_name, environment().models_directory)
    if found is None:
        return _plain(404, "the hub has no such model")
    path, etag = found
    try:
        blocks = FileBlocks(path)
    except FileNotFoundError:
        return _plain(404, "removed a moment ago")
    return ranged_answer(request, blocks, f'"{etag}"')


def _plain(status: int, text: str) -> HttpResponse:
    return HttpResponse(f"{text}\n", status=status, content_type="text/plain; charset=utf-8")


def _offers() -> list[dict[str, object]]:
    """What a page offers to bring, smallest first: what the catalogue has, and what else the hub has."""
    entries = sorted(CATALOGUE.values(), key=lambda entry: (entry.engine, entry.size_mb))
    known = [{"label": entry.label, "size_mb": entry.size_mb, "languages": entry.languages} for entry in entries]
    here = [model for model in list_models(environment().models_directory) if model.label not in CATALOGUE]
    own = [{"label": one.label, "size_mb": one.size_bytes // 1_000_000, "languages": "of the hub"} for one in here]
    return [*known, *own]


@require_safe
def wheel(request: HttpRequest, wheel_name: str) -> HttpResponse:  # noqa: ARG001
    """The product itself, for a machine that is to join; open to strangers, because pip shows no token."""
    try:
        name = own_wheel_name()
    except PackageNotFoundError as missing:
        raise RequestRefused(404, "this hub runs from a clone and gives out no wheel", code="not_found") from missing
    if wheel_name != name:
        raise RequestRefused(404, f"this hub gives out {name}", code="not_found")
    found = own_wheel()
    return HttpResponse(
        found.content,
        content_type="application/octet-stream",
        headers={"Content-Disposition": f'attachment; filename="{found.name}"'},
    )


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
