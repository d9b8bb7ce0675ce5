"""The addresses of this room."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from clustercore.telemetry.api import JobStream

app_name = "telemetry"

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v1/jobs/<int:job_id>/stream", JobStream.as_view(), name="job-stream"),
]
