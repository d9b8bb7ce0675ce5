"""The admin of the ledger: jobs, their units, the attempts at them, and what happened."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest

from clustercore.access.admin import ReadOnlyAdmin, ReadOnlyInline, act, display
from clustercore.access.http.identification import identity_of
from clustercore.jobs.domain.lifecycle import AttemptOutcome, JobState, UnitState
from clustercore.jobs.models import Attempt, Counter, Job, JobCount, JobEvent, Question, Unit, WorkDone
from clustercore.jobs.services import actions

_GOOD, _GOING, _WAITING, _BAD = "success", "info", "warning", "danger"
JOB_LABELS = {
    JobState.DONE.value: _GOOD,
    JobState.RUNNING.value: _GOING,
    JobState.PAUSED.value: _WAITING,
    JobState.FAILED.value: _BAD,
}
UNIT_LABELS = {
    UnitState.DONE.value: _GOOD,
    UnitState.LEASED.value: _GOING,
    UnitState.HELD.value: _WAITING,
    UnitState.FAILED.value: _BAD,
    UnitState.DEAD.value: _BAD,
}
OUTCOME_LABELS = {
    AttemptOutcome.DONE.value: _GOOD,
    AttemptOutcome.LIVE.value: _GOING,
    AttemptOutcome.HELD.value: _WAITING,
    AttemptOutcome.FAILED.value: _BAD,
    AttemptOutcome.CRASHED.value: _BAD,
    AttemptOutcome.EXPIRED.value: _BAD,
    AttemptOutcome.UNKNOWN.value: _WAITING,
}


def _do(model_admin: ReadOnlyAdmin, request: HttpRequest, verb: str, jobs: QuerySet[Job]) -> None:
    act(model_admin, request, jobs, lambda job: actions.do(identity_of(request), verb, job.pk))


def _requeue(model_admin: ReadOnlyAdmin, request: HttpRequest, units: QuerySet[Unit]) -> None:
    act(model_admin, request, units, lambda unit: actions.requeue(identity_of(request), unit.pk))


def _count_of(units: QuerySet[Unit]) -> Coalesce:
    counted = units.order_by().values("job").annotate(count=Count("pk")).values("count")
    return Coalesce(Subquery(counted), 0)


class UnitInline(ReadOnlyInline):
    model = Unit
    fields = ("stage", "ordinal", "capability", "state", "progress", "attempts_made", "strikes", "error", "hold_reason")
    readonly_fields = fields


class EventInline(ReadOnlyInline):
    model = JobEvent
    verbose_name_plural = "events"
    show_change_link = False
    fields = ("at", "name", "text", "node_name")
    readonly_fields = fields


class AttemptInline(ReadOnlyInline):
    model = Attempt
    fields = ("number", "node_name", "outcome", "started", "ended", "lease_until", "reason", "served_by")
    readonly_fields = fields


@admin.register(Job)
class JobAdmin(ReadOnlyAdmin):
    list_display = (
        "id",
        "title",
        "kind",
        "state_label",
        "stage",
        "units_done",
        "priority",
        "language",
        "waiting",
        "created",
        "finished",
    )
    list_display_links = ("id", "title")
    list_filter = ("state", "kind", "stage", "critical_accuracy", "created")
    search_fields = ("title", "=id", "=idempotency_key", "error")
    date_hierarchy = "created"
    inlines = (UnitInline, EventInline)
    actions = ("retry", "requeue_dead", "cancel", "pause", "resume")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Job]:
        units = Unit.objects.filter(job=OuterRef("pk"))
        jobs: QuerySet[Job] = super().get_queryset(request)
        # Subqueries count for the rows of one page; a join would count for every job there is.
        return jobs.annotate(unit_count=_count_of(units), done_count=_count_of(units.filter(state=UnitState.DONE)))

    @display(description="state", ordering="state", label=JOB_LABELS)
    def state_label(self, job: Job) -> str:
        return job.state

    @display(description="units done")
    def units_done(self, job: Any) -> str:
        return f"{job.done_count} of {job.unit_count}"

    @admin.action(description="Retry what failed or was cancelled", permissions=["operate"])
    def retry(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        _do(self, request, "retry", jobs)

    @admin.action(description="Requeue dead units", permissions=["operate"])
    def requeue_dead(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        _requeue(self, request, Unit.objects.filter(job__in=jobs, state=UnitState.DEAD))

    @admin.action(description="Cancel", permissions=["operate"])
    def cancel(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        _do(self, request, "cancel", jobs)

    @admin.action(description="Pause", permissions=["operate"])
    def pause(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        _do(self, request, "pause", jobs)

    @admin.action(description="Resume", permissions=["operate"])
    def resume(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        _do(self, request, "resume", jobs)


@admin.register(Unit)
class UnitAdmin(ReadOnlyAdmin):
    list_display = ("id", "state_label", "why", "job", "stage", "ordinal", "attempts_made", "share", "finished")
    list_filter = ("state", "stage", "capability", ("attempts__node", admin.RelatedOnlyFieldListFilter))
    list_select_related = ("job",)
    search_fields = ("=id", "=job__id", "job__title", "error")
    inlines = (AttemptInline,)
    actions = ("requeue",)

    @display(description="state", ordering="state", label=UNIT_LABELS)
    def state_label(self, unit: Unit) -> str:
        return unit.state

    @display(description="progress", ordering="progress")
    def share(self, unit: Unit) -> str:
        return f"{unit.progress:.0%}"

    @display(description="why")
    def why(self, unit: Unit) -> str:
        return (unit.error or unit.hold_reason)[:200]

    @admin.action(description="Requeue: failed, dead or cancelled units start afresh", permissions=["operate"])
    def requeue(self, request: HttpRequest, units: QuerySet[Unit]) -> None:
        _requeue(self, request, units)


@admin.register(Attempt)
class AttemptAdmin(ReadOnlyAdmin):
    list_display = (
        "id",
        "unit",
        "number",
        "node_name",
        "outcome_label",
        "started",
        "ended",
        "lease_until",
        "reason",
        "fenced_results",
    )
    list_filter = ("outcome", "unit__stage", "node_name")
    list_select_related = ("unit",)
    search_fields = ("=unit__id", "=unit__job__id", "node_name", "reason")
    date_hierarchy = "started"

    @display(description="outcome", ordering="outcome", label=OUTCOME_LABELS)
    def outcome_label(self, attempt: Attempt) -> str:
        return attempt.outcome


@admin.register(JobEvent)
class JobEventAdmin(ReadOnlyAdmin):
    list_display = ("at", "job", "name", "text", "node_name")
    list_filter = ("name", "node_name")
    list_select_related = ("job",)
    search_fields = ("=job__id", "text")
    date_hierarchy = "at"
    ordering = ("-id",)


@admin.register(Question)
class QuestionAdmin(ReadOnlyAdmin):
    list_display = ("id", "job", "unit", "text", "until", "default", "answer", "answered_by", "withdrawn")
    list_filter = ("of_outcome", "default")
    list_select_related = ("job", "unit")
    search_fields = ("=job__id", "text", "answered_by")
    date_hierarchy = "created"


@admin.register(Counter)
class CounterAdmin(ReadOnlyAdmin):
    list_display = ("name", "value")


@admin.register(JobCount)
class JobCountAdmin(ReadOnlyAdmin):
    list_display = ("state", "owner", "shared", "jobs")
    list_filter = ("state", "shared")
    ordering = ("state", "owner", "shared", "id")


@admin.register(WorkDone)
class WorkDoneAdmin(ReadOnlyAdmin):
    list_display = ("kind", "engine", "bucket", "units", "microseconds", "sound_microseconds")
    list_filter = ("kind",)
    ordering = ("kind", "engine", "bucket", "id")
