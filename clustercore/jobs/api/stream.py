"""Progress for programs, as it happens: server-sent events."""

from __future__ import annotations

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from clustercore.access.api import requester
from clustercore.access.api.negotiation import AnyAccepted
from clustercore.access.domain.roles import Permission
from clustercore.access.http.identification import identity_of_scope
from clustercore.jobs.domain.progress import FINAL_STATES
from clustercore.jobs.services.actions import require_visible
from clustercore.live.services.streaming import event_stream

_EXAMPLE = """event: progress
data: {"id": 7, "state": "running", "fraction": 0.42, "units": {"done": 5, "running": 2, …}, …}

: still here

event: progress
data: {"id": 7, "state": "done", "fraction": 1.0, …}

event: end
data: {}

"""


class JobStream(APIView):
    """One job, followed."""

    permissions = {"GET": Permission.VIEW}
    content_negotiation_class = AnyAccepted
    # The answer to HEAD would be as long as the job, and nobody would read it.
    http_method_names = ["get", "options"]

    @extend_schema(
        operation_id="jobs_stream",
        tags=["jobs"],
        summary="Follow a job: server-sent events until it is over",
        responses={
            (200, "text/event-stream"): OpenApiResponse(
                OpenApiTypes.STR,
                description="`event: progress` with the job as `GET /jobs/{job_id}` gives it, whole at once and then "
                "whenever it changed; a comment every 15 seconds; `event: notice` when the ledger is away; "
                "`event: end` when the job is over or gone.",
                examples=[OpenApiExample("a job that ends", value=_EXAMPLE, media_type="text/event-stream")],
            )
        },
    )
    def get(self, request: Request, job_id: int) -> StreamingHttpResponse:
        """After a broken connection ask again: the whole state comes first, so that nothing is missed."""
        require_visible(requester(request), job_id)
        scope = request._request.scope  # type: ignore[attr-defined]
        events = event_stream(
            f"job:{job_id}",
            # PollRequest anew each minute: a token may have been revoked, or the job no longer be shared.
            lambda: identity_of_scope(scope),
            is_last=lambda state: state["state"] in FINAL_STATES,
        )
        return StreamingHttpResponse(
            events,
            content_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )
