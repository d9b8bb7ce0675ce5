"""Signing in and out, and the two links that need no password: the first administrator's, and a forgotten one's."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from clustercore.access.domain.errors import Expired, Refused
from clustercore.access.http.identification import identity_of
from clustercore.access.http.refusals import status_of
from clustercore.access.http.sessions import begin_session, remember, sign_in, sign_out
from clustercore.access.services import people, setup
from clustercore.access.services.sign_in import unlock
from clustercore.access.views.forms import NewPasswordForm, SetupForm, SignInForm

page = require_http_methods(["GET", "HEAD", "POST"])


@page
@never_cache
@sensitive_post_parameters("password")
def sign_in_page(request: HttpRequest) -> HttpResponse:
    """The form; then where the person wanted to go."""
    if request.method != "POST":
        if identity_of(request).is_known:
            return HttpResponseRedirect(_wanted(request))
        return _sign_in_form(request, SignInForm())
    form = SignInForm(request.POST)
    if not form.is_valid():
        return _sign_in_form(request, form, status=400)
    try:
        user = sign_in(request, form.cleaned_data["name"], form.cleaned_data["password"])
    except Refused as refused:
        form.refuse(refused)
        response = _sign_in_form(request, form, status=status_of(refused))
        if refused.retry_after is not None:
            response["Retry-After"] = str(refused.retry_after)
        return response
    return _signed_in(request, user, _wanted(request))


@require_POST
@never_cache
def sign_out_page(request: HttpRequest) -> HttpResponse:
    """Ends the session."""
    identity = identity_of(request)
    if identity.is_known and identity.token_id is None:
        sign_out(request, identity)
        messages.info(request, "You are signed out.")
    return HttpResponseRedirect(resolve_url(settings.LOGOUT_REDIRECT_URL))


@page
@never_cache
@sensitive_post_parameters("password", "again")
def setup_page(request: HttpRequest, token: str) -> HttpResponse:
    """Makes the first administrator, for whoever holds the link."""
    if not setup.is_setup_open(token):
        raise setup.SetupClosed
    form = SetupForm(request.POST) if request.method == "POST" else SetupForm()
    if form.is_valid():
        given = form.cleaned_data
        try:
            user = setup.make_first_administrator(token, given["name"], given["password"])
        except Expired:
            raise
        except Refused as refused:
            form.refuse(refused)
        else:
            begin_session(request, user, "signed_in", by="setup link")
            messages.success(request, f"Welcome, {user.get_username()}. You are the administrator of this cluster.")
            return _signed_in(request, user, resolve_url(settings.LOGIN_REDIRECT_URL))
    return render(request, "access/setup.html", {"form": form}, status=400 if form.is_bound else 200)


@page
@never_cache
@sensitive_post_parameters("password", "again")
def set_password_page(request: HttpRequest, key: str, token: str) -> HttpResponse:
    """Sets the password of the person whom an administrator gave this link."""
    user = people.person_of_link(key, token)
    if user is None:
        raise people.LinkDead
    form = NewPasswordForm(request.POST) if request.method == "POST" else NewPasswordForm()
    if form.is_valid():
        try:
            user = people.use_link(key, token, form.cleaned_data["password"])
        except Expired:
            raise
        except Refused as refused:
            form.refuse(refused)
        else:
            unlock(user.get_username())
            begin_session(request, user, "signed_in", by="password link")
            return _signed_in(request, user, resolve_url(settings.LOGIN_REDIRECT_URL))
    context = {"form": form, "name": user.get_username()}
    return render(request, "access/set_password.html", context, status=400 if form.is_bound else 200)


def _signed_in(request: HttpRequest, user: User, to: str) -> HttpResponse:
    response = HttpResponseRedirect(to)
    remember(request, response, user.get_username())
    return response


def _sign_in_form(request: HttpRequest, form: SignInForm, status: int = 200) -> HttpResponse:
    wanted = request.POST.get("next", request.GET.get("next", ""))
    return render(request, "access/sign_in.html", {"form": form, "next": wanted}, status=status)


def _wanted(request: HttpRequest) -> str:
    """Where the person was going, if that is on this hub."""
    wanted = request.POST.get("next", request.GET.get("next", ""))
    if url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure()):
        return wanted
    return resolve_url(settings.LOGIN_REDIRECT_URL)
