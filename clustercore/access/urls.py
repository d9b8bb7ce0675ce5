"""The addresses of this room."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from clustercore.access.api import resources
from clustercore.access.views import account, audit, people, sign_in

app_name = "access"

urlpatterns: list[URLPattern | URLResolver] = [
    path("sign-in/", sign_in.sign_in_page, name="sign-in"),
    path("sign-out/", sign_in.sign_out_page, name="sign-out"),
    path("setup/<str:token>/", sign_in.setup_page, name="setup"),
    path("set-password/<str:key>/<str:token>/", sign_in.set_password_page, name="set-password"),
    path("account/", account.account_page, name="account"),
    path("account/password/", account.change_password, name="change-password"),
    path("account/tokens/", account.create_token, name="create-token"),
    path("account/tokens/<int:token_id>/revoke/", account.revoke_token, name="revoke-token"),
    path("audit/", audit.audit_page, name="audit"),
    path("audit/verify/", audit.verify_page, name="audit-verify"),
    path("people/", people.people_page, name="people"),
    path("people/<int:user_id>/role/", people.change_role, name="change-role"),
    path("people/<int:user_id>/disable/", people.disable, name="disable"),
    path("people/<int:user_id>/enable/", people.enable, name="enable"),
    path("people/<int:user_id>/link/", people.make_link, name="make-link"),
    path("api/v1/me", resources.Me.as_view(), name="api-me"),
    path("api/v1/tokens", resources.Tokens.as_view(), name="api-tokens"),
    path("api/v1/tokens/<int:token_id>", resources.OneToken.as_view(), name="api-token"),
]
