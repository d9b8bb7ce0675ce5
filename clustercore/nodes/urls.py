"""The addresses of this room."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path, register_converter
from django.urls.converters import StringConverter

from clustercore.nodes import api, views

app_name = "nodes"


class NodeName(StringConverter):
    """A node's name in an address. PostgreSQL knows no text with a NUL in it, so that no node can have that name."""

    regex = r"[^/\x00]+"


register_converter(NodeName, "node")

_API = "api/v1/nodes"
urlpatterns: list[URLPattern | URLResolver] = [
    path(_API, api.NodeList.as_view(), name="api-list"),
    path(f"{_API}/<node:name>", api.NodeDetail.as_view(), name="api-detail"),
    path(f"{_API}/<node:name>/drain", api.NodeDrain.as_view(), name="api-drain"),
    path(f"{_API}/<node:name>/undrain", api.NodeUndrain.as_view(), name="api-undrain"),
    path("install/<str:wheel_name>", views.wheel, name="wheel"),
    path("models/<str:engine>/<str:model>/<path:file_name>", views.hub_model, name="hub-model"),
    path("models/", views.pull_model, name="pull-model"),
    path("nodes/", views.node_list, name="list"),
    path("nodes/<node:name>/", views.node_detail, name="detail"),
    path("nodes/<node:name>/drain/", views.act, {"verb": "drain"}, name="drain"),
    path("nodes/<node:name>/undrain/", views.act, {"verb": "undrain"}, name="undrain"),
    path("nodes/<node:name>/forget/", views.forget, name="forget"),
]
