"""`/v1/models`: what may be named as `model`: ways of choosing, and the models that live nodes have."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse

from clustercore.access.domain.roles import Permission
from clustercore.access.http.identification import require
from clustercore.access.http.refusals import RequestRefused
from clustercore.nodes.selectors import usable_models
from transcription.domain.openai_request import BEHAVIOURS
from transcription.domain.openai_schema import PATHS


def model_list(request: HttpRequest) -> HttpResponse:
    """All of them, best first."""
    if request.method not in ("GET", "HEAD"):
        return HttpResponse(status=405, headers={"Allow": "GET, HEAD"})
    require(request, Permission.VIEW)
    return JsonResponse({"object": "list", "data": _models()})


def one_model(request: HttpRequest, name: str) -> HttpResponse:
    """One of them by its name."""
    if request.method not in ("GET", "HEAD"):
        return HttpResponse(status=405, headers={"Allow": "GET, HEAD"})
    require(request, Permission.VIEW)
    for model in _models():
        if model["id"] == name:
            return JsonResponse(model)
    message = f"model: no live node has {name[:200]!r}; GET /v1/models lists what there is"
    raise RequestRefused(404, message, param="model", code="model_not_found")


def _models() -> list[dict[str, Any]]:
    since: dict[str, int] = {}
    for model in usable_models("stt").select_related("node"):
        name = f"{model.engine}:{model.model}"
        started = int(model.node.started.timestamp())
        since[name] = min(started, since.get(name, started))
    first = min(since.values(), default=0)
    behaviours = [_model(name, first, "clustercore") for name in BEHAVIOURS]
    return behaviours + [_model(name, started, name.partition(":")[0]) for name, started in since.items()]


def _model(name: str, created: int, owner: str) -> dict[str, Any]:
    """`created`: since when a live node serves it, in seconds since 1970."""
    return {"id": name, "object": "model", "created": created, "owned_by": owner}


def describe_openai(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """A hook of the schema: addresses that no view of REST framework's serves."""
    for path, operations in PATHS.items():
        # The hooks that follow add to each operation.
        result["paths"].setdefault(path, {}).update(deepcopy(dict(operations)))
    return result
