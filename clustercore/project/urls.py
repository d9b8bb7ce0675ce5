"""Every address of the web process, by inclusion."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("blobs/", include("clustercore.blobs.urls")),
]
