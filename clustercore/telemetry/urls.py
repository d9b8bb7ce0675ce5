"""The addresses of this room."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from clustercore.telemetry.views import metrics

app_name = "telemetry"

urlpatterns: list[URLPattern | URLResolver] = [
    path("metrics", metrics, name="metrics"),
]
