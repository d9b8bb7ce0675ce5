"""The admin of blobs and of the hub."""
# ruff: noqa: ARG002 (Django asks these questions with more than a fixed answer needs)

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.utils.html import format_html
from django.utils.safestring import SafeString

from clustercore.access.admin import ReadOnlyAdmin, display
from clustercore.access.http.identification import identity_of
from clustercore.access.services import audit
from clustercore.blobs.domain.errors import BlobError
from clustercore.blobs.models import Blob, Hub, Upload
from clustercore.blobs.selectors import download_path


@admin.register(Blob)
class BlobAdmin(ReadOnlyAdmin):
    list_display = ("short_hash", "readable_size", "media_type", "created", "stamped", "deleted")
    list_filter: ClassVar[Any] = (("deleted", admin.EmptyFieldListFilter), "media_type")
    search_fields = ("sha256__startswith", "media_type")
    date_hierarchy = "created"
    fields = ("sha256", "readable_size", "media_type", "created", "stamped", "deleted", "download")
    readonly_fields = fields

    @display(description="SHA-256", ordering="sha256")
    def short_hash(self, blob: Blob) -> str:
        return blob.sha256[:16]

    @display(description="size", ordering="size")
    def readable_size(self, blob: Blob) -> str:
        return filesizeformat(blob.size)

    @display(description="download")
    def download(self, blob: Blob) -> str | SafeString:
        """A link that works for an hour."""
        if blob.deleted is not None:
            return "deleted"
        try:
            return format_html('<a href="{}">the bytes, for one hour</a>', download_path(blob.sha256))
        except BlobError as problem:
            return str(problem)


@admin.register(Hub)
class HubAdmin(ReadOnlyAdmin):
    """Deleting the row lets another data directory become the hub: for when the old one is gone for good."""

    list_display = ("identity", "blob_url")
    fields = ("identity", "blob_url")

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.admin_site.has_permission(request)

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        with transaction.atomic():
            audit.record(identity_of(request), "hub.forget", str(obj))
            super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Hub]) -> None:
        for hub in queryset:
            self.delete_model(request, hub)


@admin.register(Upload)
class UploadAdmin(ReadOnlyAdmin):
    """Resumable uploads under way, or not used yet; their owner ends them, or time does."""

    list_display = ("name", "owner", "offset", "size", "state", "expires")
    list_filter: ClassVar[Any] = ("state",)
    search_fields = ("name", "owner__username")
    list_select_related = ("owner",)
    fields = ("id", "owner", "name", "media_type", "offset", "size", "state", "sha256", "created", "expires")
    readonly_fields = fields
