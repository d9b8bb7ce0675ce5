"""What every REST view shares: authentication, permissions by method, and the shape of errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.core.exceptions import PermissionDenied
from django.http import Http404
from rest_framework import exceptions, serializers
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request
from rest_framework.response import Response

from clustercore.access.domain.identity import Identity
from clustercore.access.domain.roles import Permission
from clustercore.access.http.identification import identity_of, refuse_forged
from clustercore.access.http.refusals import error_body, refusal_of

if TYPE_CHECKING:  # REST framework imports this module while it imports its views
    from rest_framework.views import APIView


class IdentityAuthentication(BaseAuthentication):
    """`request.user` is Django's user, `request.auth` the Identity. A session needs its CSRF token to change things."""

    def authenticate(self, request: Request) -> tuple[Any, Identity] | None:
        identity = identity_of(request._request)
        if not identity.is_known:
            return None
        if identity.token_id is None:
            refuse_forged(request._request)
        return request._request.user, identity

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002
        return 'Bearer realm="clustercore"'


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses a field that it does not know, by its name: what cannot be set is not ignored in silence."""

    def to_internal_value(self, data: Any) -> Any:
        unknown = sorted(set(data) - set(self.fields)) if isinstance(data, Mapping) else []
        if unknown:
            known = ", ".join(self.fields)
            raise serializers.ValidationError({str(unknown[0]): [f"cannot be set here; these can: {known}"]})
        return super().to_internal_value(data)


class MethodPermission(BasePermission):
    """A view's `permissions` says what each method needs; a method that is not named needs what `GET` does not give."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        if not hasattr(view, str(request.method).lower()):
            return True  # nothing is done: the view answers 405, and which methods there are is no secret
        wanted: Mapping[str, Permission] = getattr(view, "permissions", {})
        default = Permission.VIEW if request.method in SAFE_METHODS else Permission.ADMINISTER
        needed = wanted.get("GET" if request.method == "HEAD" else str(request.method), default)
        self.message = f"this needs the permission {needed.value!r}"
        return requester(request).may(needed)


class KnownPermission(BasePermission):
    """Whoever is known, whatever their role or their token's scopes."""

    def has_permission(self, request: Request, view: APIView) -> bool:  # noqa: ARG002
        return requester(request).is_known


def requester(request: Request) -> Identity:
    """Who asks."""
    return identity_of(request._request)


def exception_handler(error: Exception, context: Mapping[str, Any]) -> Response | None:  # noqa: ARG001
    """Every refusal in the one shape; what nobody foresaw is left to Django, which logs it."""
    refusal = refusal_of(error)
    if refusal is not None:
        response = Response(refusal.body, status=refusal.status)
        if refusal.retry_after is not None:
            response["Retry-After"] = str(refusal.retry_after)
        return response
    if isinstance(error, Http404):
        error = exceptions.NotFound()
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    if not isinstance(error, exceptions.APIException):
        return None
    param, message = _first_problem(error.detail)
    response = Response(error_body(error.status_code, message, param=param, code=_code(error)), error.status_code)
    if isinstance(error, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
        response["WWW-Authenticate"] = 'Bearer realm="clustercore"'
    return response


def _first_problem(detail: Any, field: str | None = None) -> tuple[str | None, str]:
    if isinstance(detail, dict):
        name, inner = next(iter(detail.items()))
        if isinstance(name, int):  # a place in a list, whose field is the list
            return _first_problem(inner, field)
        return _first_problem(inner, None if name == "non_field_errors" else str(name))
    if isinstance(detail, list):
        return _first_problem(detail[0], field) if detail else (field, "invalid")
    named = not field or str(detail).startswith(f"{field}:")
    return field, str(detail) if named else f"{field}: {detail}"


def _code(error: exceptions.APIException) -> str | None:
    codes = error.get_codes()
    return codes if isinstance(codes, str) else "invalid"
