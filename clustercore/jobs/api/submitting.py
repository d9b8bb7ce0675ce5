"""Asking for a job over HTTP: the file that comes with a request, or came before, and the answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from clustercore.access.api import StrictSerializer, requester
from clustercore.blobs.adapters.received import ReceivedFile
from clustercore.blobs.http.received import received_with
from clustercore.jobs.api.bodies import job_detail_body
from clustercore.jobs.domain.job_request import InvalidRequest
from clustercore.jobs.models import Job
from clustercore.jobs.selectors.progress import job_progress
from clustercore.jobs.services.sent_files import Sent, imported_file, received_file, uploaded_file

KEY_PARAMETER = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 200},
    OpenApiParameter.HEADER,
    description="A second request with the same key gets the first one's job, with 200. The same key with "
    "another file or other fields is 409. A key whose job failed or was cancelled may be used again.",
)


class SentSerializer(StrictSerializer):
    """A file by where it is, for requests that bring none in a form."""

    upload = serializers.UUIDField(required=False, help_text="A resumable upload that is whole.")
    path = serializers.CharField(
        required=False, max_length=4096, help_text="A file in one of the folders of CLUSTERCORE_IMPORT_FOLDERS."
    )


@contextmanager
def sent_with(request: Request, asked: Mapping[str, Any], noun: str = "the file") -> Iterator[Sent]:
    """Opens the one file that a request brings or names. Raises InvalidRequest."""
    received = received_with(getattr(request._request, "scope", {}))
    _refuse_other_than_one(asked, received, noun)
    if received is not None:
        yield received_file(received)
    elif "upload" in asked:
        yield uploaded_file(requester(request), str(asked["upload"]))
    else:
        with imported_file(str(asked["path"])) as sent:
            yield sent


def _refuse_other_than_one(asked: Mapping[str, Any], received: ReceivedFile | None, noun: str) -> None:
    if received is not None and received.field != "file":
        raise InvalidRequest(received.field[:60], f"{noun} belongs in the field `file`")
    given = [name for name in ("upload", "path") if name in asked] + (["file"] if received is not None else [])
    if not given:
        raise InvalidRequest("file", f"send {noun} as `file` in a form, or name an `upload` or a `path`")
    if len(given) > 1:
        raise InvalidRequest(given[0], f"{' and '.join(given)} were sent: {noun.replace('the', 'one', 1)} a request")


def answer_with(job: Job, *, is_new: bool) -> Response:
    """Returns the job in full; `Location` is where it can be followed."""
    body = job_detail_body(job_progress(Job.objects.filter(pk=job.pk), with_shares=True)[0])
    return Response(body, 201 if is_new else 200, headers={"Location": f"/api/v1/jobs/{job.pk}"})
