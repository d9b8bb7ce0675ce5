"""A person's own account: role, password, tokens."""

from __future__ import annotations

from datetime import timedelta

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST, require_safe

from clustercore.access.domain.errors import NotIdentified, Refused
from clustercore.access.domain.identity import Identity
from clustercore.access.domain.roles import Permission
from clustercore.access.http.identification import identity_of, whom_to_ask
from clustercore.access.http.sessions import check_password_of
from clustercore.access.selectors import tokens_of
from clustercore.access.services import people
from clustercore.access.services.tokens import SessionNeeded, make_token, revoke_token_of
from clustercore.access.views.forms import MEANINGS, ROLE_MEANINGS, ChangePasswordForm, TokenForm


@require_safe
@never_cache
def account_page(request: HttpRequest) -> HttpResponse:
    """Role, password, tokens."""
    return _page(request, person_of_session(request))


@require_POST
@never_cache
@sensitive_post_parameters()
def change_password(request: HttpRequest) -> HttpResponse:
    """Other sessions of the person end; tokens stay."""
    identity = person_of_session(request)
    form = ChangePasswordForm(request.POST)
    if form.is_valid():
        user = User.objects.get(username=identity.name)
        try:
            check_password_of(request, user, form.cleaned_data["current"])
            people.change_password(identity, user, form.cleaned_data["password"])
        except Refused as refused:
            form.refuse(refused)
        else:
            update_session_auth_hash(request, user)
            messages.success(request, "Your password is changed. Other browsers are signed out.")
            return HttpResponseRedirect(reverse("access:account"))
    return _page(request, identity, password_form=form, status=400)


@require_POST
@never_cache
def create_token(request: HttpRequest) -> HttpResponse:
    """Answers with the page that shows the token, this once."""
    identity = person_of_session(request)
    form = TokenForm(identity.permissions, request.POST)
    if not form.is_valid():
        return _page(request, identity, token_form=form, status=400)
    given = form.cleaned_data
    scopes = frozenset(Permission(scope) for scope in given["scopes"])
    expires = timezone.now() + timedelta(days=given["days"]) if given["days"] else None
    row, token = make_token(identity, identity, given["name"], scopes, expires)
    return render(request, "access/token.html", {"token": token, "row": row})


@require_POST
@never_cache
def revoke_token(request: HttpRequest, token_id: int) -> HttpResponse:
    """The token opens nothing any more."""
    identity = person_of_session(request)
    revoke_token_of(identity, token_id, owner_id=identity.user_id)
    messages.success(request, "The token is revoked: it opens nothing any more.")
    return HttpResponseRedirect(reverse("access:account"))


def person_of_session(request: HttpRequest) -> Identity:
    """Who is signed in. Raises NotIdentified, and SessionNeeded for a program with a token."""
    identity = identity_of(request)
    if not identity.is_known:
        raise NotIdentified("sign in first")
    if identity.token_id is not None:
        raise SessionNeeded("a token cannot be used here: sign in")
    return identity


def _page(
    request: HttpRequest,
    identity: Identity,
    *,
    password_form: ChangePasswordForm | None = None,
    token_form: TokenForm | None = None,
    status: int = 200,
) -> HttpResponse:
    context = {
        "identity": identity,
        "role_meaning": ROLE_MEANINGS[identity.role] if identity.role else "",
        "whom_to_ask": whom_to_ask() if identity.role is None else "",
        "meanings": [MEANINGS[permission] for permission in Permission if identity.may(permission)],
        "tokens": tokens_of(identity),
        "password_form": password_form or ChangePasswordForm(),
        "token_form": token_form or TokenForm(identity.permissions),
    }
    return render(request, "access/account.html", context, status=status)
