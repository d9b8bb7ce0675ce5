"""Addresses of the blob service."""

from __future__ import annotations

from django.urls import path, register_converter

from clustercore.blobs.api import OneUpload, Uploads
from clustercore.blobs.views import download


class HashConverter:
    """64 lower-case hexadecimal digits."""

    regex = "[0-9a-f]{64}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(HashConverter, "sha256")

app_name = "blobs"
urlpatterns = [
    path("blobs/<sha256:sha256>", download, name="download"),
    path("api/v1/uploads", Uploads.as_view(), name="uploads"),
    path("api/v1/uploads/<uuid:upload_id>", OneUpload.as_view(), name="upload"),
]
