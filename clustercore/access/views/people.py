"""People, for administrators: add, give a role, disable, and make the link with which somebody sets a password."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from clustercore.access.domain.errors import Conflict, Refused, Unacceptable
from clustercore.access.domain.identity import Identity
from clustercore.access.domain.roles import Permission, Role
from clustercore.access.http.identification import require
from clustercore.access.selectors import people_with_roles
from clustercore.access.services import people
from clustercore.access.views.forms import ROLE_CHOICES, PersonForm, RoleForm

Arguments = ParamSpec("Arguments")


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def people_page(request: HttpRequest) -> HttpResponse:
    """Everybody; a POST adds a person and shows their link."""
    actor = require(request, Permission.ADMINISTER)
    form = PersonForm(request.POST) if request.method == "POST" else PersonForm()
    if form.is_valid():
        try:
            user = people.add_person(actor, form.cleaned_data["name"], Role(form.cleaned_data["role"]))
        except Refused as refused:
            form.refuse(refused)
        else:
            return _link_page(request, actor, user)
    return _page(request, actor, form, status=400 if form.is_bound else 200)


def _deed(
    deed: Callable[Concatenate[HttpRequest, Identity, Arguments], HttpResponse],
) -> Callable[Concatenate[HttpRequest, Arguments], HttpResponse]:
    """A POST of an administrator; what is refused is said on the page."""

    @require_POST
    @never_cache
    @wraps(deed)
    def view(request: HttpRequest, /, *arguments: Arguments.args, **named: Arguments.kwargs) -> HttpResponse:
        actor = require(request, Permission.ADMINISTER)
        try:
            return deed(request, actor, *arguments, **named)
        except Conflict as refused:
            messages.error(request, refused.message)
            return HttpResponseRedirect(reverse("access:people"))

    return view


@_deed
def change_role(request: HttpRequest, actor: Identity, user_id: int) -> HttpResponse:
    form = RoleForm(request.POST)
    if not form.is_valid():
        raise Unacceptable(f"role: one of {', '.join(Role)}", field="role")
    user = people.set_role(actor, user_id, Role(form.cleaned_data["role"]))
    messages.success(request, f"{user.get_username()} is {form.cleaned_data['role']} now.")
    return HttpResponseRedirect(reverse("access:people"))


@_deed
def disable(request: HttpRequest, actor: Identity, user_id: int) -> HttpResponse:
    user = people.set_active(actor, user_id, False)
    messages.success(request, f"{user.get_username()} is disabled: sessions and tokens open nothing any more.")
    return HttpResponseRedirect(reverse("access:people"))


@_deed
def enable(request: HttpRequest, actor: Identity, user_id: int) -> HttpResponse:
    user = people.set_active(actor, user_id, True)
    messages.success(request, f"{user.get_username()} may come in again.")
    return HttpResponseRedirect(reverse("access:people"))


@_deed
def make_link(request: HttpRequest, actor: Identity, user_id: int) -> HttpResponse:
    user = User.objects.filter(pk=user_id).first()
    if user is None:
        raise people.NoSuchPerson("there is no such person")
    return _link_page(request, actor, user)


def _link_page(request: HttpRequest, actor: Identity, user: User) -> HttpResponse:
    link = request.build_absolute_uri(people.password_link(actor, user.pk))
    return render(request, "access/link.html", {"person": user, "link": link})


def _page(request: HttpRequest, actor: Identity, form: PersonForm, status: int) -> HttpResponse:
    context = {"form": form, "people": people_with_roles(), "roles": ROLE_CHOICES, "actor": actor}
    return render(request, "access/people.html", context, status=status)
