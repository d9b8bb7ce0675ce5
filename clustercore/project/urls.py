"""Every address of the web process, by inclusion."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from clustercore.project.flower.proxy import flower
from clustercore.project.views import alive, ready

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index"), name="home"),
    path("", include("clustercore.access.urls")),
    path("", include("clustercore.jobs.urls")),
    path("", include("clustercore.nodes.urls")),
    path("", include("clustercore.telemetry.urls")),
    path("", include("transcription.urls")),
    path("admin/", admin.site.urls),
    path("flower/", flower, name="flower"),
    path("flower/<path:place>", flower, name="flower-page"),
    path("blobs/", include("clustercore.blobs.urls")),
    path("healthz", alive, name="alive"),
    path("readyz", ready, name="ready"),
]
