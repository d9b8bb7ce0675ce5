"""Lists: jobs, and the causes for which jobs failed."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.db.models import Q, QuerySet
from django.utils.decorators import method_decorator
from django.views.decorators.cache import cache_control
from django.views.decorators.http import conditional_page
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from clustercore.access.api import requester
from clustercore.access.domain.identity import Identity
from clustercore.access.domain.roles import Permission
from clustercore.jobs.api import examples
from clustercore.jobs.api.pages import PAGE_PARAMETERS, page_body, page_of
from clustercore.jobs.api.serializers import CauseListSerializer, JobPageSerializer
from clustercore.jobs.domain.bodies import job_body
from clustercore.jobs.domain.lifecycle import JobState
from clustercore.jobs.models import Job
from clustercore.jobs.selectors.error_groups import failed_by_cause
from clustercore.jobs.selectors.progress import job_progress
from clustercore.jobs.selectors.questions import waiting_for_an_answer
from clustercore.jobs.selectors.visibility import visible_jobs

SEARCH_CHARACTERS = 100


class JobFilterSerializer(serializers.Serializer[Any]):
    """Which jobs a list shows."""

    state = serializers.ChoiceField(required=False, choices=[state.value for state in JobState])
    kind = serializers.CharField(required=False, max_length=40, help_text="`transcription`, say.")
    owner = serializers.ChoiceField(required=False, choices=["me"], help_text="`me`: only one's own.")
    created_after = serializers.DateTimeField(required=False, help_text="From this moment on (ISO 8601).")
    created_before = serializers.DateTimeField(required=False, help_text="Before this moment (ISO 8601).")
    waits = serializers.ChoiceField(
        required=False, choices=["answer"], help_text="`answer`: only those that wait for a person."
    )
    search = serializers.CharField(
        required=False, max_length=SEARCH_CHARACTERS, help_text="Words in the title or the error, as they stand."
    )


def listed_jobs(request: Request) -> QuerySet[Job]:
    """What the person may see and asked for, newest first. Raises ValidationError."""
    identity = requester(request)
    jobs = visible_jobs(identity)
    asked = {name: text for name, text in request.GET.items() if name in JobFilterSerializer._declared_fields}
    if asked:
        filters = JobFilterSerializer(data=asked)
        filters.is_valid(raise_exception=True)
        jobs = _filtered(jobs, filters.validated_data, identity)
    return jobs.order_by("-id")


def _filtered(jobs: QuerySet[Job], wanted: dict[str, Any], identity: Identity) -> QuerySet[Job]:
    if "state" in wanted:
        jobs = jobs.filter(state=wanted["state"])
    if "kind" in wanted:
        jobs = jobs.filter(kind=wanted["kind"])
    if "owner" in wanted:
        jobs = jobs.filter(owner=identity.user_id)
    if "created_after" in wanted:
        jobs = jobs.filter(created__gte=wanted["created_after"])
    if "created_before" in wanted:
        jobs = jobs.filter(created__lt=wanted["created_before"])
    if "waits" in wanted:
        jobs = waiting_for_an_answer(jobs)
    if "search" in wanted:
        jobs = jobs.filter(Q(title__icontains=wanted["search"]) | Q(error__icontains=wanted["search"]))
    return jobs


@method_decorator([conditional_page, cache_control(private=True, no_cache=True)], name="dispatch")
class JobList(APIView):
    """Jobs that one may see."""

    permissions = {"GET": Permission.VIEW}

    @extend_schema(
        operation_id="jobs_list",
        tags=["jobs"],
        summary="Jobs, newest first",
        parameters=[JobFilterSerializer, *PAGE_PARAMETERS],
        responses=JobPageSerializer,
        examples=[examples.JOBS],
    )
    def get(self, request: Request) -> Response:
        """One's own jobs and those that are shared; administrators see all."""
        page = page_of(request)
        jobs = listed_jobs(request)
        if page.after is not None:
            jobs = jobs.filter(pk__lt=page.after)
        rows = [job_body(job) for job in job_progress(jobs[: page.limit + 1])]
        return Response(page_body(rows, page))


class CauseList(APIView):
    """Why jobs failed."""

    permissions = {"GET": Permission.VIEW}

    @extend_schema(
        operation_id="jobs_causes",
        tags=["jobs"],
        summary="Failed jobs, grouped by their cause",
        parameters=[JobFilterSerializer],
        responses=CauseListSerializer,
        examples=[examples.CAUSES],
    )
    def get(self, request: Request) -> Response:
        """The most frequent cause first, a hundred causes at most; with the filters of the list."""
        causes = failed_by_cause(listed_jobs(request))
        return Response({"results": [asdict(cause) for cause in causes]})
