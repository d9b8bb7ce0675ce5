"""The admin of blobs and of the hub, and what every admin of the ledger's rows has in common."""
# ruff: noqa: ARG002 (Django asks these questions with more than a fixed answer needs)

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.utils.html import format_html
from django.utils.safestring import SafeString

from clustercore.blobs.domain.errors import BlobError
from clustercore.blobs.models import Blob, Hub
from clustercore.blobs.selectors import download_path

if TYPE_CHECKING:
    # The theme carries no types; its classes are Django's with other templates.
    ThemedModelAdmin = admin.ModelAdmin[Any]
    ThemedTabularInline = admin.TabularInline[Any, Any]
    Column = TypeVar("Column", bound=Callable[..., Any])

    def display(
        *, description: str, ordering: str | None = None, label: Mapping[str, str] | None = None
    ) -> Callable[[Column], Column]:
        """Heading, database column to sort by, and the colour of each value."""

else:
    from unfold.admin import ModelAdmin as ThemedModelAdmin
    from unfold.admin import TabularInline as ThemedTabularInline
    from unfold.decorators import display


class ReadOnlyAdmin(ThemedModelAdmin):
    """Rows that services own: a person looks at them and acts through actions.

    Actions declare `permissions=["operate"]`: whoever may change such rows by Django's permissions may use them.
    """

    list_per_page = 50
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Whether this person may use the actions."""
        return super().has_change_permission(request)


class ReadOnlyInline(ThemedTabularInline):
    """Rows below another row, a page at a time, each with a link to its own page."""

    extra = 0
    per_page = 50
    can_delete = False
    show_change_link = True
    tab = True
    ordering = ("pk",)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Blob)
class BlobAdmin(ReadOnlyAdmin):
    list_display = ("short_hash", "readable_size", "media_type", "created", "deleted")
    list_filter: ClassVar[Any] = (("deleted", admin.EmptyFieldListFilter), "media_type")
    search_fields = ("sha256__startswith", "media_type")
    date_hierarchy = "created"
    fields = ("sha256", "readable_size", "media_type", "created", "deleted", "download")
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
        return bool(getattr(request.user, "is_superuser", False))
