"""The description of the whole API (OpenAPI 3.1), and the page that shows it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from drf_spectacular.extensions import (
    OpenApiAuthenticationExtension,
    OpenApiSerializerExtension,
    OpenApiSerializerFieldExtension,
)
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import PolymorphicProxySerializer
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from clustercore.access.api import StrictSerializer
from clustercore.access.http.refusals import error_body
from clustercore.jobs.api.serializers import FactsField, fact_serializers

METHODS = ("get", "head", "post", "put", "patch", "delete", "options")
_REFUSALS = {
    "400": ("A field or a parameter cannot be right; `param` names it.", "limit: a whole number is wanted"),
    "401": ("Nobody is signed in, or the token opens nothing.", "the token is unknown, revoked or expired"),
    "403": ("The role or the token's scopes do not allow it.", "You do not have permission to perform this action."),
    "404": ("There is no such thing, or it is not yours to see.", "there is no job 7 that you may see"),
    "406": ("`Accept` names only formats that are not spoken here.", "Could not satisfy the request Accept header."),
    "409": ("Its state does not allow it.", "job 7 is already done"),
    "415": ("The body's media type is not taken here.", 'Unsupported media type "text/plain" in request.'),
    "429": ("Too many requests; `Retry-After` says how many seconds to wait.", "more than 600 requests in a minute"),
    "503": ("Not now; `Retry-After` says when to ask again.", "100000 pieces of work are waiting"),
}
_RETRY_AFTER = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}
_ERROR = {
    "type": "object",
    "description": "The one shape of an error.",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string", "description": "What is wrong and what to do."},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"], "description": "The field that it is about."},
                "code": {"type": ["string", "null"], "description": "Stable, for programs."},
            },
        }
    },
}


class IdentityScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """A bearer token, or the session's cookie."""

    target_class = "clustercore.access.api.IdentityAuthentication"
    name = ["bearer", "session"]

    def get_security_requirement(self, auto_schema: AutoSchema) -> list[dict[str, list[Any]]]:  # noqa: ARG002
        return [{"bearer": []}, {"session": []}]

    def get_security_definition(self, auto_schema: AutoSchema) -> list[dict[str, Any]]:  # noqa: ARG002
        return [
            {
                "type": "http",
                "scheme": "bearer",
                "description": "A token from the account page: `Authorization: Bearer cc_…`.",
            },
            {
                "type": "apiKey",
                "in": "cookie",
                "name": "sessionid",
                "description": "A signed-in browser. What changes something needs the CSRF token too.",
            },
        ]


class StrictExtension(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]
    """A serializer that refuses unknown fields says so in the schema."""

    target_class = StrictSerializer
    match_subclasses = True

    def map_serializer(self, auto_schema: AutoSchema, direction: Any) -> dict[str, Any]:
        plain = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)  # type: ignore[no-untyped-call]
        schema: dict[str, Any] = plain
        return {**schema, "additionalProperties": False} if direction == "request" else schema


class FactsExtension(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    """What a kind tells of its jobs, by the serializers of all kinds that are registered when the schema is made."""

    target_class = FactsField

    def map_serializer_field(self, auto_schema: AutoSchema, direction: Any) -> dict[str, Any]:
        kinds = PolymorphicProxySerializer("JobFacts", fact_serializers(), resource_type_field_name=None, many=False)
        return dict(auto_schema._map_serializer_field(kinds, direction))  # type: ignore[no-untyped-call]


def document_refusals(result: dict[str, Any], **_options: Any) -> dict[str, Any]:
    """Adds to each operation the refusals that may meet it, where it does not document them itself."""
    components = result.setdefault("components", {})
    components.setdefault("schemas", {})["Error"] = _ERROR
    if "JobFacts" in components["schemas"]:
        # Not `oneOf`: a kind may know all that another knows, and more.
        kinds = components["schemas"]["JobFacts"].get("oneOf")
        components["schemas"]["JobFacts"] = {"anyOf": kinds} if kinds else {"type": "object"}
    components["responses"] = {f"Refused{status}": _response(status) for status in _REFUSALS}
    for path, operation in _operations(result):
        responses = operation.setdefault("responses", {})
        for status in _refusals_of(path, operation):
            responses.setdefault(status, {"$ref": f"#/components/responses/Refused{status}"})
        for status, response in responses.items():
            if status >= "400" and "content" not in response and "$ref" not in response:
                responses[status] = _with_error_shape(status, response)
    return result


def _operations(result: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in result.get("paths", {}).items():
        for method, operation in methods.items():
            if method in METHODS:
                yield path, operation


def _refusals_of(path: str, operation: dict[str, Any]) -> Iterator[str]:
    has_body = "requestBody" in operation
    if has_body or any(parameter["in"] in {"query", "header"} for parameter in operation.get("parameters", ())):
        yield "400"
    yield from ("401", "403", "406", "429", "503")
    if "{" in path:
        yield "404"
    if has_body:
        yield "415"


def _with_error_shape(status: str, response: dict[str, Any]) -> dict[str, Any]:
    """A refusal that a view names without saying more: `responses={409: None}`."""
    if status in _REFUSALS and response.get("description", "") in ("", "No response body"):
        return {"$ref": f"#/components/responses/Refused{status}"}
    return {**response, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}


def _response(status: str) -> dict[str, Any]:
    description, example = _REFUSALS[status]
    content = {
        "application/json": {
            "schema": {"$ref": "#/components/schemas/Error"},
            "example": error_body(int(status), example),
        }
    }
    answer: dict[str, Any] = {"description": description, "content": content}
    return {**answer, "headers": _RETRY_AFTER} if status in {"429", "503"} else answer


class Schema(SpectacularAPIView):
    """The schema as YAML, or as JSON for `Accept: application/json`."""


class Docs(SpectacularSwaggerSplitView):
    """The schema to read and to try; its script is a file of its own, so that no inline script need be allowed."""

    url_name = "schema"
    # What DRF answers to OPTIONS is no page.
    http_method_names = ["get", "head"]
