"""Files that units made, to be taken away."""

from __future__ import annotations

from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from clustercore.access.api import requester
from clustercore.access.api.negotiation import AnyAccepted
from clustercore.access.domain.roles import Permission
from clustercore.access.http.refusals import RequestRefused
from clustercore.blobs.domain.errors import BlobMissing
from clustercore.blobs.selectors import hub_now
from clustercore.blobs.services import local_store, stored_paths
from clustercore.blobs.views import FileBlocks, ranged_answer
from clustercore.jobs.domain.result_files import ResultFile
from clustercore.jobs.selectors.units import file_of
from clustercore.jobs.services import actions


class UnitFile(APIView):
    """One file of a unit's result."""

    permissions = {"GET": Permission.VIEW}
    content_negotiation_class = AnyAccepted

    @extend_schema(
        operation_id="jobs_unit_file",
        tags=["jobs"],
        summary="A file that a unit made",
        parameters=[
            OpenApiParameter("Range", OpenApiTypes.STR, OpenApiParameter.HEADER, description="`bytes=0-99`, say."),
            OpenApiParameter("If-None-Match", OpenApiTypes.STR, OpenApiParameter.HEADER, description="A known `ETag`."),
        ],
        responses={
            (200, "application/octet-stream"): OpenApiTypes.BINARY,
            (206, "application/octet-stream"): OpenApiTypes.BINARY,
            304: OpenApiResponse(description="Unchanged."),
            416: OpenApiResponse(description="It has no such bytes."),
        },
    )
    def get(self, request: Request, job_id: int, unit_id: int, name: str) -> HttpResponseBase:
        """Whole or by range, always as a download. The `ETag` is its SHA-256."""
        actions.require_visible(requester(request), job_id)
        file = file_of(job_id, unit_id, name)
        if file is None:
            raise RequestRefused(404, f"unit {unit_id} of job {job_id} made no such file", code="not_found")
        response = ranged_answer(request._request, _blocks_of(file), f'"{file.sha256}"')
        response["Content-Disposition"] = content_disposition_header(True, name) or "attachment"
        return response


def _blocks_of(file: ResultFile) -> FileBlocks:
    store = local_store(hub_now())
    if store is None:
        raise RequestRefused(503, "this process does not have the hub's store", code="no_store", retry_after=60)
    try:
        return FileBlocks(stored_paths(store, [file.sha256])[0])
    except (BlobMissing, FileNotFoundError) as error:
        raise RequestRefused(404, f"the file is no longer stored: {error}", code="not_found") from error
