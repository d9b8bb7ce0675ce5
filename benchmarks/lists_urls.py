"""The product's addresses, and beside them the same query as a bare view: no sign-in, no framework, no shape."""

from __future__ import annotations

from django.db.models import Count, F, Sum
from django.db.models.functions import Now
from django.http import HttpRequest, JsonResponse
from django.urls import path

from benchmarks import empty_units
from clustercore.jobs.models import Job, Unit
from clustercore.project.urls import handler400, handler403, handler404, handler500
from clustercore.project.urls import urlpatterns as product

__all__ = ["bare_jobs", "empty_units", "handler400", "handler403", "handler404", "handler500", "urlpatterns"]

_FIELDS = (
    "id", "kind", "title", "state", "stage", "priority", "language", "waiting", "error", "shared", "created", "finished"
)  # fmt: skip


def bare_jobs(request: HttpRequest) -> JsonResponse:
    """The rows that the list of jobs is made of, as they come."""
    owner = int(request.GET["owner"])
    jobs = list(
        Job.objects.filter(owner=owner)
        .order_by("-id")
        .values(*_FIELDS, owner_name=F("owner__username"), now=Now())[:51]
    )
    units = Unit.objects.filter(job_id__in=[job["id"] for job in jobs]).order_by().values("job_id", "stage", "state")
    counts = units.annotate(units=Count("id"), weights=Sum("weight"), begun=Sum(F("weight") * F("progress")))
    return JsonResponse({"jobs": jobs, "units": list(counts)})


urlpatterns = [path("bare/jobs", bare_jobs), *product]
