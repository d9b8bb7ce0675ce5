"""The operations of resumable uploads, as OpenAPI describes them: they are served in front of Django."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clustercore.blobs.domain.uploads import CONTENT_TYPE, VERSION

Operation = Mapping[str, Any]

_SECURITY: list[dict[str, list[str]]] = [{"bearer": []}, {"session": []}]


def _header(name: str, description: str, schema: Mapping[str, Any], *, required: bool = True) -> Operation:
    return {"in": "header", "name": name, "required": required, "description": description, "schema": schema}


def _told(description: str, *names: str) -> Operation:
    return {"description": description, "headers": {name: {"schema": {"type": "string"}} for name in names}}


_BYTES = {"type": "integer", "minimum": 0}
_VERSION = _header("Tus-Resumable", "The version of the protocol.", {"type": "string", "enum": [VERSION]})
_ID = {"in": "path", "name": "upload_id", "required": True, "schema": {"type": "string", "format": "uuid"}}
_REFUSALS = {
    "408": "The bytes came too slowly.",
    "409": "Other bytes are wanted next: the message says which. Or another connection goes on with this upload.",
    "412": "`Tus-Resumable` is missing, or is another version than 1.0.0.",
    "413": "Larger than was announced, or than the hub takes.",
    "423": "Another process of the hub has this upload: `Retry-After` says when to try again.",
    "429": "Too many uploads of yours are open, or too large ones: finish or delete one, or see `Retry-After`.",
    "507": "The hub's disk has no room for it, or keeps it for uploads under way: see `Retry-After`.",
}


def _refused(*statuses: str) -> Mapping[str, Operation]:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {status: {"description": _REFUSALS[status], "content": content} for status in statuses}


COLLECTION: Mapping[str, Operation] = {
    "post": {
        "operationId": "uploads_create",
        "tags": ["uploads"],
        "summary": "Begin a resumable upload",
        "description": "The tus protocol 1.0, extensions creation, termination and expiration: any tus client works. "
        "The answer's `Location` takes the bytes by PATCH, in as many parts and over as many connections as it takes.",
        "security": _SECURITY,
        "parameters": [
            _VERSION,
            _header("Upload-Length", "The whole size in bytes.", {"type": "integer", "minimum": 1}),
            _header(
                "Upload-Metadata",
                "`filename` and `filetype`, each followed by its value in base64, separated by commas.",
                {"type": "string"},
                required=False,
            ),
        ],
        "responses": {
            "201": _told("Begun.", "Location", "Upload-Offset", "Upload-Expires"),
            **_refused("412", "413", "429", "507"),
        },
    },
    "options": {
        "operationId": "uploads_options",
        "tags": ["uploads"],
        "summary": "What the upload service speaks",
        "security": [],
        "responses": {
            "204": _told("Versions, extensions, the largest size.", "Tus-Version", "Tus-Extension", "Tus-Max-Size")
        },
    },
}

ONE: Mapping[str, Operation] = {
    "head": {
        "operationId": "uploads_offset",
        "tags": ["uploads"],
        "summary": "How many bytes of an upload have come",
        "security": _SECURITY,
        "parameters": [_ID, _VERSION],
        "responses": {
            "200": _told("So far.", "Upload-Offset", "Upload-Length", "Upload-Expires"),
            "412": {"description": _REFUSALS["412"]},
            "423": {"description": _REFUSALS["423"]},
        },
    },
    "patch": {
        "operationId": "uploads_continue",
        "tags": ["uploads"],
        "summary": "Send the next bytes of an upload",
        "description": "A connection that breaks loses nothing that had come: ask by HEAD, and go on from there.",
        "security": _SECURITY,
        "parameters": [_ID, _VERSION, _header("Upload-Offset", "Where this part begins.", _BYTES)],
        "requestBody": {"content": {CONTENT_TYPE: {"schema": {"type": "string", "format": "binary"}}}},
        "responses": {
            "204": _told("Taken.", "Upload-Offset", "Upload-Expires"),
            **_refused("408", "409", "412", "413", "423", "507"),
        },
    },
    "delete": {
        "operationId": "uploads_delete",
        "tags": ["uploads"],
        "summary": "Give an upload up",
        "security": _SECURITY,
        "parameters": [_ID, _VERSION],
        "responses": {"204": {"description": "Gone."}, **_refused("412")},
    },
}
