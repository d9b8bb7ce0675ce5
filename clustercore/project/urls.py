"""Every address of the web process, by inclusion."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from clustercore.project.api.schema import Docs, Schema
from clustercore.project.api.status import Status
from clustercore.project.flower.proxy import flower
from clustercore.project.views import alive, home, ready

urlpatterns = [
    path("", home, name="home"),
    path("", include("clustercore.access.urls")),
    path("", include("clustercore.jobs.urls")),
    path("", include("clustercore.nodes.urls")),
    path("", include("clustercore.telemetry.urls")),
    path("", include("transcription.urls")),
    path("admin/", admin.site.urls),
    path("flower/", flower, name="flower"),
    path("flower/<path:place>", flower, name="flower-page"),
    path("", include("clustercore.blobs.urls")),
    path("api/v1/status", Status.as_view(), name="status"),
    path("api/v1/schema", Schema.as_view(), name="schema"),
    path("api/v1/docs", Docs.as_view(), name="docs"),
    path("healthz", alive, name="alive"),
    path("readyz", ready, name="ready"),
]

handler400 = "clustercore.project.middleware.errors.bad_request"
handler403 = "clustercore.project.middleware.errors.permission_denied"
handler404 = "clustercore.project.middleware.errors.page_not_found"
handler500 = "clustercore.project.middleware.errors.server_error"
