"""The site that Django's admin runs on: administrators only, and no way in of its own."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from unfold.sites import UnfoldAdminSite

from clustercore.access.domain.roles import Permission
from clustercore.access.http.identification import identity_of, require
from clustercore.access.http.sessions import sign_out


class AdministratorsSite(UnfoldAdminSite):  # type: ignore[misc]
    """Named in `project.apps.AdministrationConfig`."""

    def has_permission(self, request: HttpRequest) -> bool:
        """Administrators who signed in; a token opens no pages."""
        identity = identity_of(request)
        return identity.token_id is None and identity.may(Permission.ADMINISTER)

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponseRedirect:  # noqa: ARG002
        """Where the admin sends whoever it does not let in. Raises RequestRefused (401, 403)."""
        goal = request.GET.get("next", "")
        if not url_has_allowed_host_and_scheme(goal, allowed_hosts=None):
            goal = reverse("admin:index")
        if not identity_of(request).is_known:
            return HttpResponseRedirect(reverse("access:sign-in", query={"next": goal}))
        require(request, Permission.ADMINISTER)
        return HttpResponseRedirect(goal)

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponseRedirect:  # noqa: ARG002
        """The same end of a session as on every page."""
        if request.method == "POST":
            sign_out(request, identity_of(request))
        return HttpResponseRedirect(reverse("access:sign-in"))

    def password_change(self, *_request: Any, **_context: Any) -> HttpResponseRedirect:
        """Passwords are changed on the account page, which asks for the old one and notes the change."""
        return HttpResponseRedirect(reverse("access:account"))
