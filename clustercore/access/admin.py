"""The admin of people, tokens and the audit log, and what every page of the admin has in common.

Django's admin is one more way to look. Its site (`project.admin`) lets administrators in, by the same identity as
everywhere else; what they change in it goes through the same services and into the same audit log.
"""
# ruff: noqa: ARG002 (Django asks these questions with more than a fixed answer needs)

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from django.contrib import admin, messages
from django.contrib.auth.models import Group, User
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from clustercore.access.domain.errors import Refused
from clustercore.access.http.identification import identity_of
from clustercore.access.models import ApiToken, AuditEntry
from clustercore.access.selectors import role_of
from clustercore.access.services.people import set_active
from clustercore.access.services.tokens import revoke_token_of

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
    """Rows that services own: an administrator looks at them and acts through actions.

    Actions declare `permissions=["operate"]`.
    """

    list_per_page = 50
    show_full_result_count = False

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.admin_site.has_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.admin_site.has_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Whether this person may use the actions."""
        return self.admin_site.has_permission(request)


class ReadOnlyInline(ThemedTabularInline):
    """Rows below another row, a page at a time, each with a link to its own page."""

    extra = 0
    per_page = 50
    can_delete = False
    show_change_link = True
    tab = True
    ordering = ("pk",)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.admin_site.has_permission(request)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def act(
    model_admin: ReadOnlyAdmin,
    request: HttpRequest,
    rows: Iterable[Any],
    deed: Callable[[Any], object],
) -> None:
    """Does `deed` to each row; says how many it was done to, and why not to the others."""
    done = 0
    for row in rows:
        try:
            deed(row)
            done += 1
        except Refused as reason:
            model_admin.message_user(request, str(reason), messages.WARNING)
    if done:
        model_admin.message_user(request, f"done: {done}", messages.SUCCESS)


admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class PersonAdmin(ReadOnlyAdmin):
    """Who may come in. Roles and passwords are changed on the page People, where the rules about them are kept."""

    list_display = ("username", "role", "is_active", "last_login", "date_joined")
    list_filter = ("is_active", "groups")
    search_fields = ("username",)
    ordering = ("username",)
    fields = ("username", "role", "is_active", "last_login", "date_joined")
    readonly_fields = fields
    actions = ("disable", "enable")

    @display(description="role")
    def role(self, user: User) -> str:
        return role_of(user) or "none"

    @admin.action(description="Disable: sessions and tokens stop at once", permissions=["operate"])
    def disable(self, request: HttpRequest, people: QuerySet[User]) -> None:
        act(self, request, people, lambda user: set_active(identity_of(request), user.pk, False))

    @admin.action(description="Enable", permissions=["operate"])
    def enable(self, request: HttpRequest, people: QuerySet[User]) -> None:
        act(self, request, people, lambda user: set_active(identity_of(request), user.pk, True))


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnlyAdmin):
    list_display = ("name", "prefix", "user", "scopes", "created", "expires", "last_used", "revoked")
    list_filter = ("user", ("revoked", admin.EmptyFieldListFilter))
    list_select_related = ("user",)
    search_fields = ("name", "prefix", "user__username")
    fields = list_display
    readonly_fields = fields
    actions = ("revoke",)

    @admin.action(description="Revoke: from now on the token opens nothing", permissions=["operate"])
    def revoke(self, request: HttpRequest, tokens: QuerySet[ApiToken]) -> None:
        act(self, request, tokens, lambda token: revoke_token_of(identity_of(request), token.pk, owner_id=None))


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = ("seq", "at", "actor", "action", "target", "detail")
    list_filter = ("action", "actor")
    search_fields = ("actor", "action", "target")
    date_hierarchy = "at"
