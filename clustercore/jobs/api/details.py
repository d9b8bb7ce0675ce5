"""One job: what it is, what may be changed of it, and what may be done to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from django.utils.decorators import method_decorator
from django.views.decorators.cache import cache_control
from django.views.decorators.http import conditional_page
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from clustercore.access.api import requester
from clustercore.access.domain.identity import Identity
from clustercore.access.domain.roles import Permission
from clustercore.jobs.api import examples
from clustercore.jobs.api.bodies import job_detail_body
from clustercore.jobs.api.pages import PAGE_PARAMETERS, page_body, page_of
from clustercore.jobs.api.serializers import (
    AttemptPageSerializer,
    EventPageSerializer,
    JobChangeSerializer,
    JobDetailSerializer,
    UnitFilterSerializer,
    UnitPageSerializer,
)
from clustercore.jobs.api.waiting import WAIT_PARAMETER
from clustercore.jobs.domain.bodies import unit_body
from clustercore.jobs.selectors.progress import job_progress
from clustercore.jobs.selectors.units import attempts_page, events_page, units_page
from clustercore.jobs.selectors.visibility import visible_jobs
from clustercore.jobs.services import actions


def detail_of(identity: Identity, job_id: int) -> dict[str, Any]:
    """The job in full. Raises RequestRefused (404)."""
    found = job_progress(visible_jobs(identity).filter(pk=job_id), with_shares=True)
    if not found:
        actions.require_visible(identity, job_id)
    return job_detail_body(found[0])


@method_decorator([conditional_page, cache_control(private=True, no_cache=True)], name="dispatch")
class JobDetail(APIView):
    """One job."""

    permissions = {"GET": Permission.VIEW, "PATCH": Permission.OPERATE, "DELETE": Permission.OPERATE}

    @extend_schema(
        operation_id="jobs_read",
        tags=["jobs"],
        summary="One job, now or when it is over",
        parameters=[WAIT_PARAMETER],
        responses=JobDetailSerializer,
        examples=[examples.JOB],
    )
    def get(self, request: Request, job_id: int) -> Response:
        """How far it is, what each node did of it, and what its kind knows. With `wait` it need not be asked again and
        again: `GET /jobs/{job_id}?wait=60` until `state` is `done`, `failed` or `cancelled`."""
        return Response(detail_of(requester(request), job_id))

    @extend_schema(
        operation_id="jobs_change",
        tags=["jobs"],
        summary="Change a job's title, priority or sharing",
        request=JobChangeSerializer,
        responses=JobDetailSerializer,
        examples=[examples.CHANGE, examples.JOB],
    )
    def patch(self, request: Request, job_id: int) -> Response:
        """A field that is left out stays; any other field is refused."""
        actions.require_operable(requester(request), job_id)
        change = JobChangeSerializer(data=request.data, partial=True)
        change.is_valid(raise_exception=True)
        actions.edit(requester(request), job_id, **change.validated_data)
        return Response(detail_of(requester(request), job_id))

    @extend_schema(
        operation_id="jobs_remove", tags=["jobs"], summary="Remove a job that is over", responses={204: None, 409: None}
    )
    def delete(self, request: Request, job_id: int) -> Response:
        """With its recordings, texts and every node's copies. There is no way back."""
        actions.do(requester(request), "remove", job_id)
        return Response(status=204)


class JobDeed(APIView):
    """Something that is done to a job; each address below has its own class."""

    permissions = {"POST": Permission.OPERATE}
    verb = ""

    def post(self, request: Request, job_id: int) -> Response:
        """Answers with the job as it is then."""
        actions.do(requester(request), self.verb, job_id)
        return Response(detail_of(requester(request), job_id))


def _documented(verb: str, summary: str) -> Callable[[type[JobDeed]], type[JobDeed]]:
    schema = extend_schema(
        operation_id=f"jobs_{verb}",
        tags=["jobs"],
        summary=summary,
        request=None,
        responses={200: JobDetailSerializer, 409: None},
        examples=[examples.JOB],
    )
    return extend_schema_view(post=schema)


@_documented("cancel", "End a job now; what is done stays")
class JobCancel(JobDeed):
    verb = "cancel"


@_documented("retry", "Try again what failed or was cancelled")
class JobRetry(JobDeed):
    verb = "retry"


@_documented("pause", "Take no further work of a job; what runs goes on")
class JobPause(JobDeed):
    verb = "pause"


@_documented("resume", "Let a paused job go on")
class JobResume(JobDeed):
    verb = "resume"


class JobPart(APIView):
    """A list that belongs to a job, oldest first."""

    permissions = {"GET": Permission.VIEW}

    def answer(
        self, request: Request, job_id: int, rows_after: Callable[[int, int, int], Sequence[dict[str, Any]]]
    ) -> Response:
        """A page of `rows_after(job id, last id of the page before, how many)`."""
        page = page_of(request)
        actions.require_visible(requester(request), job_id)
        return Response(page_body(rows_after(job_id, page.after or 0, page.limit + 1), page))


class JobUnits(JobPart):
    @extend_schema(
        operation_id="jobs_units",
        tags=["jobs"],
        summary="The units of a job, each with its latest attempt",
        parameters=[UnitFilterSerializer, *PAGE_PARAMETERS],
        responses=UnitPageSerializer,
    )
    def get(self, request: Request, job_id: int) -> Response:
        """In the order in which they were queued."""
        wanted = UnitFilterSerializer(data=request.GET)
        wanted.is_valid(raise_exception=True)
        return self.answer(
            request,
            job_id,
            lambda *page: [unit_body(unit) for unit in units_page(*page, **wanted.validated_data)],
        )


class JobAttempts(JobPart):
    @extend_schema(
        operation_id="jobs_attempts",
        tags=["jobs"],
        summary="Every try at a unit of a job: node, start, end, reason",
        parameters=PAGE_PARAMETERS,
        responses=AttemptPageSerializer,
    )
    def get(self, request: Request, job_id: int) -> Response:
        """In the order in which they began."""
        return self.answer(request, job_id, lambda *page: [asdict(one) for one in attempts_page(*page)])


class JobEvents(JobPart):
    @extend_schema(
        operation_id="jobs_events",
        tags=["jobs"],
        summary="The story of a job, line by line",
        parameters=PAGE_PARAMETERS,
        responses=EventPageSerializer,
    )
    def get(self, request: Request, job_id: int) -> Response:
        """Oldest first; `GET /jobs/{job_id}/stream` tells when there is more."""
        return self.answer(request, job_id, lambda *page: [asdict(one) for one in events_page(*page)])
