"""The addresses of this room."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from clustercore.telemetry.api import JobStream
from clustercore.telemetry.views import metrics

app_name = "telemetry"

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v1/jobs/<int:job_id>/stream", JobStream.as_view(), name="job-stream"),
    path("metrics", metrics, name="metrics"),
]
