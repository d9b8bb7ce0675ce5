"""Resumable uploads as programs read them, and how the protocol that brings them is described in the API's schema."""

from __future__ import annotations

from copy import deepcopy
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from clustercore.access.api import requester
from clustercore.access.domain.roles import Permission
from clustercore.access.http.refusals import RequestRefused
from clustercore.blobs.domain.uploads import UploadState
from clustercore.blobs.http.upload_schema import COLLECTION, ONE
from clustercore.blobs.models import Upload
from clustercore.blobs.selectors import uploads_of


class UploadSerializer(serializers.Serializer[Any]):
    """One resumable upload."""

    id = serializers.UUIDField(help_text="What `POST /api/v1/transcriptions` takes as `upload` once it is whole.")
    name = serializers.CharField()
    size = serializers.IntegerField(help_text="Bytes announced.")
    offset = serializers.IntegerField(help_text="Bytes that came.")
    state = serializers.ChoiceField(
        choices=[state.value for state in UploadState], help_text="`kept`: a job was made of it."
    )
    expires = serializers.DateTimeField(help_text="Unless something happens to it before.")


class UploadListSerializer(serializers.Serializer[Any]):
    """One's own uploads."""

    results = UploadSerializer(many=True)


class Uploads(APIView):
    """One's own resumable uploads; they are made and filled by the tus protocol, in front of Django."""

    permissions = {"GET": Permission.SUBMIT}

    @extend_schema(
        operation_id="uploads_list",
        tags=["uploads"],
        summary="Your own resumable uploads, newest first",
        responses=UploadListSerializer,
    )
    def get(self, request: Request) -> Response:
        """A thousand at most; nobody sees another's."""
        uploads = uploads_of(requester(request).user_id)[:1000]
        return Response({"results": [upload_body(upload) for upload in uploads]})


class OneUpload(APIView):
    """One of them."""

    permissions = {"GET": Permission.SUBMIT}

    @extend_schema(
        operation_id="uploads_read", tags=["uploads"], summary="One resumable upload", responses=UploadSerializer
    )
    def get(self, request: Request, upload_id: UUID) -> Response:
        """How far it is."""
        upload = uploads_of(requester(request).user_id).filter(pk=str(upload_id)).first()
        if upload is None:
            raise RequestRefused(404, "there is no such upload of yours; it may have expired", code="not_found")
        return Response(upload_body(upload))


def upload_body(upload: Upload) -> dict[str, Any]:
    """As UploadSerializer describes it."""
    return {
        "id": upload.pk,
        "name": upload.name,
        "size": upload.size,
        "offset": upload.offset,
        "state": upload.state,
        "expires": upload.expires,
    }


def describe_uploads(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """A hook of the schema: the operations of tus, which no view of Django's serves."""
    for path, operations in (("/api/v1/uploads", COLLECTION), ("/api/v1/uploads/{upload_id}", ONE)):
        # The hooks that follow add to each operation.
        result["paths"].setdefault(path, {}).update(deepcopy(dict(operations)))
    return result
