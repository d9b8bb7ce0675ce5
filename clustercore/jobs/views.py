"""Pages of jobs: the list, one job, and what a person may do to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.contrib import messages
from django.core.files.uploadedfile import TemporaryUploadedFile
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from clustercore.access.domain.identity import Identity
from clustercore.access.domain.roles import Permission
from clustercore.access.http.identification import require
from clustercore.access.http.refusals import RequestRefused
from clustercore.jobs.domain.chart import counts_of
from clustercore.jobs.domain.form_fields import fields_of
from clustercore.jobs.domain.job_request import InvalidRequest
from clustercore.jobs.domain.kinds import JobKind, kinds
from clustercore.jobs.domain.lifecycle import FINAL_JOB_STATES, JobState, UnitState
from clustercore.jobs.domain.pieces import chunks_of, groups_of
from clustercore.jobs.domain.presentation import Presentation, presentation_of
from clustercore.jobs.domain.progress import JobProgress
from clustercore.jobs.domain.timeline import timeline_of
from clustercore.jobs.models import Job
from clustercore.jobs.selectors.job_lists import ENDED_STATES, failures, open_jobs
from clustercore.jobs.selectors.presenting import facts_of, noun_of, start_url
from clustercore.jobs.selectors.progress import job_progress
from clustercore.jobs.selectors.questions import open_questions, waiting_for_an_answer
from clustercore.jobs.selectors.units import (
    PAGE_UNITS,
    attempts_of,
    last_attempts_at,
    latest_events,
    pieces_by_job,
    units_in_order,
    window_of,
)
from clustercore.jobs.selectors.visibility import operable_jobs, visible_jobs
from clustercore.jobs.services import actions
from clustercore.jobs.services.asked import Options, request_for
from clustercore.jobs.services.control import NotPossible
from clustercore.jobs.services.sent_files import file_at
from clustercore.jobs.services.submit import submit
from clustercore.nodes.selectors import node_colours

PAGE_ROWS = 25
EVENTS = 100
_LONGEST_SEARCH = 200
_MOST_DIGITS = 19

# What a person reads once it is done, by verb.
_DONE = {
    "cancel": "Job {} is cancelled.",
    "retry": "Job {} is tried again: what is done stays done.",
    "pause": "Job {} is paused: what runs is finished, nothing new is taken.",
    "resume": "Job {} goes on.",
    "remove": "Job {} is removed, with its files and texts.",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a list is narrowed to; `before` is the id that the page before ended with."""

    state: str
    search: str
    mine: bool
    waits: bool
    """Only what waits for a person."""
    before: int | None

    @property
    def is_narrow(self) -> bool:
        return bool(self.state or self.search or self.mine or self.waits)

    def address_before(self, job_id: int) -> str:
        """The address of the page after the one that ends with this job."""
        given = {"state": self.state, "q": self.search, "mine": "yes" if self.mine else ""}
        given |= {"waits": "answer" if self.waits else "", "before": str(job_id)}
        return f"{reverse('jobs:list')}?{urlencode({name: value for name, value in given.items() if value})}"


@require_safe
@never_cache
def job_list(request: HttpRequest) -> HttpResponse:
    """Failed jobs by cause, then what runs, then what has ended; or one list, narrowed and searched."""
    identity = require(request, Permission.VIEW)
    wanted = _wanted(request)
    jobs = _narrowed(visible_jobs(identity), wanted, identity)
    context: dict[str, Any] = {"wanted": wanted, "states": [state.value for state in JobState]}
    if wanted.is_narrow or wanted.before is not None:
        context |= _page(jobs, wanted)
    else:
        bad = failures(jobs)
        opened = open_jobs(jobs)
        context |= {"causes": bad.causes, "failed": bad.failed, "open": opened.rows, "more_open": opened.more}
        context |= _page(jobs.filter(state__in=ENDED_STATES), wanted)
        context["any"] = bool(bad.causes or opened.rows or context["rows"] or jobs.exists())
    return render(request, "jobs/list.html", context)


def _wanted(request: HttpRequest) -> Wanted:
    state = request.GET.get("state", "")
    if state and state not in set(JobState):
        raise RequestRefused(400, f"state: {state[:40]!r} is not one of {', '.join(JobState)}", param="state")
    before = request.GET.get("before", "")
    if before and not (before.isascii() and before.isdigit() and len(before) < _MOST_DIGITS):
        raise RequestRefused(400, "before: not the number of a job", param="before")
    # PostgreSQL knows no text with a NUL in it.
    search = request.GET.get("q", "").replace("\0", "").strip()[:_LONGEST_SEARCH]
    waits = request.GET.get("waits", "")
    if waits not in ("", "answer"):
        raise RequestRefused(400, f"waits: {waits[:40]!r} is not answer", param="waits")
    return Wanted(state, search, request.GET.get("mine") == "yes", bool(waits), int(before) if before else None)


def _narrowed(jobs: QuerySet[Job], wanted: Wanted, identity: Identity) -> QuerySet[Job]:
    if wanted.state:
        jobs = jobs.filter(state=wanted.state)
    if wanted.mine:
        jobs = jobs.filter(owner=identity.user_id)
    if wanted.waits:
        jobs = waiting_for_an_answer(jobs)
    if wanted.search:
        found = Q(title__icontains=wanted.search) | Q(error__icontains=wanted.search)
        if wanted.search.isascii() and wanted.search.isdigit() and len(wanted.search) < _MOST_DIGITS:
            found |= Q(pk=int(wanted.search))
        jobs = jobs.filter(found)
    return jobs


def _page(jobs: QuerySet[Job], wanted: Wanted) -> dict[str, Any]:
    if wanted.before is not None:
        jobs = jobs.filter(pk__lt=wanted.before)
    found = job_progress(jobs.order_by("-id")[: PAGE_ROWS + 1])
    rows = found[:PAGE_ROWS]
    return {"rows": rows, "more": wanted.address_before(rows[-1].id) if len(found) > PAGE_ROWS else ""}


@require_safe
@never_cache
def job_detail(request: HttpRequest, job_id: int) -> HttpResponse:
    """One job: progress, pieces, what each node did, attempts, log, and what may be done to it.

    Of a wide one `from=` and `state=` say which pieces are shown in order.
    """
    identity = require(request, Permission.VIEW)
    asked = _pieces_asked(request)
    found = job_progress(visible_jobs(identity).filter(pk=job_id), with_shares=True)
    if not found:
        raise RequestRefused(404, f"there is no job {job_id} that you may see", code="not_found")
    return render(request, "jobs/detail.html", _detail_context(found[0], identity, asked))


@dataclass(frozen=True, slots=True)
class PiecesAsked:
    """Which pieces of a wide job a page shows in order: from the one of this number on, 1 for the first."""

    first: int
    state: str

    def address(self, job_id: int, first: int) -> str:
        """The page that begins elsewhere."""
        given = {"from": str(first)} | ({"state": self.state} if self.state else {})
        return f"{reverse('jobs:detail', args=[job_id])}?{urlencode(given)}#pieces-in-order"


def _pieces_asked(request: HttpRequest) -> PiecesAsked | None:
    first, state = request.GET.get("from", ""), request.GET.get("state", "")
    if state and state not in set(UnitState):
        raise RequestRefused(400, f"state: {state[:40]!r} is not one of {', '.join(UnitState)}", param="state")
    if first and not (first.isascii() and first.isdigit() and 0 < int(first[:10]) < 2**31 and len(first) <= 10):
        raise RequestRefused(400, "from: not the number of a piece, 1 for the first", param="from")
    return PiecesAsked(int(first or 1), state) if first or state else None


def _pieces_shown(job: JobProgress, asked: PiecesAsked | None, colours: Mapping[str, int]) -> dict[str, Any]:
    """All pieces and attempts, or of a wide job those that a person asks for first, and a page of them in order."""
    if not job.is_wide:
        chunks = chunks_of(job.id, pieces_by_job([job]).get(job.id, []), colours)
        return {"chunks": chunks, "timeline": timeline_of(job.id, attempts_of(job.id), colours)}
    window = window_of(job)
    attempts = last_attempts_at(window.ids).get(job.id, [])
    shown = {
        "counts": counts_of(job),
        "groups": groups_of(job.id, window, colours),
        "timeline": timeline_of(job.id, attempts, colours),
        "unit_states": [state.value for state in UnitState],
    }
    return shown | (_page_in_order(job, asked, colours) if asked is not None else {})


def _page_in_order(job: JobProgress, asked: PiecesAsked, colours: Mapping[str, int]) -> dict[str, Any]:
    found = units_in_order(job, asked.first - 1, state=asked.state)
    units = found[:PAGE_UNITS]
    earlier = max(1, asked.first - PAGE_UNITS)
    return {
        "asked": asked,
        "in_order": chunks_of(job.id, units, colours),
        "last": units[-1].ordinal + 1 if units else 0,
        "earlier": asked.address(job.id, earlier) if asked.first > 1 else "",
        "later": asked.address(job.id, found[-1].ordinal + 1) if len(found) > PAGE_UNITS else "",
    }


def _detail_context(job: JobProgress, identity: Identity, asked: PiecesAsked | None) -> dict[str, Any]:
    colours = node_colours()
    presentation = presentation_of(job.kind)
    result_url = presentation.result_url if presentation is not None else None
    operable = operable_jobs(identity).filter(pk=job.id).exists()
    return {
        "job": job,
        "colours": colours,
        **_pieces_shown(job, asked, colours),
        "events": latest_events([job.id], EVENTS).get(job.id, []),
        "presentation": presentation,
        "noun": noun_of(presentation) if presentation is not None else job.kind,
        "facts": (facts_of(presentation, job.id) or {}) if presentation is not None else {},
        "result_url": result_url(job.id) if result_url is not None and job.has_result else "",
        "operable": operable,
        "questions": open_questions(job.id) if job.asks else [],
        "actions": actions_for(job, presentation, identity, operable=operable),
    }


def actions_for(
    job: JobProgress, presentation: Presentation | None, identity: Identity, *, operable: bool
) -> Sequence[str]:
    """The verbs that the job's state and the person's rights allow, in the order of their buttons."""
    possible = {
        "resume": job.state == JobState.PAUSED,
        "retry": job.state in (JobState.FAILED, JobState.CANCELLED) or bool(job.failed) or job.ended_with_gaps,
        "pause": job.state == JobState.RUNNING,
        "share": True,
        "clone": _may_repeat(presentation, identity),
        "cancel": job.state not in FINAL_JOB_STATES,
        "remove": job.state in FINAL_JOB_STATES,
    }
    return [verb for verb, is_possible in possible.items() if is_possible and (operable or verb == "clone")]


def _may_repeat(presentation: Presentation | None, identity: Identity) -> bool:
    """A form of its own is needed, which takes over what another job was asked for."""
    has_form = presentation is not None and presentation.new_url is not None
    return presentation is not None and has_form and identity.may(presentation.submit_permission)


@require_POST
def act(request: HttpRequest, job_id: int, verb: str) -> HttpResponse:
    """Does it, and goes back to the job, which says what came of it."""
    identity = require(request, Permission.OPERATE)
    try:
        actions.do(identity, verb, job_id)
    except NotPossible as reason:
        messages.warning(request, f"Not done: {reason}.")
        return _to_job(job_id)
    messages.success(request, _DONE[verb].format(job_id))
    return HttpResponseRedirect(reverse("jobs:list")) if verb == "remove" else _to_job(job_id)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def act_after_asking(request: HttpRequest, job_id: int, verb: str) -> HttpResponse:
    """What cannot be undone: GET asks (our script asks in a dialog instead), POST does it."""
    if request.method == "POST":
        return act(request, job_id, verb)
    identity = require(request, Permission.OPERATE)
    actions.require_operable(identity, job_id)
    job = job_progress(visible_jobs(identity).filter(pk=job_id))[0]
    return render(request, "jobs/confirm.html", {"job": job, "verb": verb})


@require_POST
def answer(request: HttpRequest, job_id: int, question_id: int) -> HttpResponse:
    """Takes what a person chose, and goes back to the job."""
    identity = require(request, Permission.OPERATE)
    option, bound_to = request.POST.get("option", ""), request.POST.get("bound_to", "")
    try:
        actions.answer(identity, job_id, question_id, option, bound_to)
    except NotPossible as reason:
        messages.warning(request, f"Not done: {reason}.")
        return _to_job(job_id)
    messages.success(request, f"Your answer for job {job_id} is taken: {option}.")
    return _to_job(job_id)


@require_POST
def share(request: HttpRequest, job_id: int) -> HttpResponse:
    """Lets everybody who may sign in read the job, or (`shared=no`) nobody else any more."""
    identity = require(request, Permission.OPERATE)
    shared = request.POST.get("shared") == "yes"
    actions.edit(identity, job_id, shared=shared)
    says = "Everybody who may sign in here can read job {} now." if shared else "Job {} is yours alone again."
    messages.success(request, says.format(job_id))
    return _to_job(job_id)


@require_POST
def clone(request: HttpRequest, job_id: int) -> HttpResponse:
    """To the page where one of this kind is started, filled in with this job's settings."""
    identity = require(request, Permission.SUBMIT)
    kind = visible_jobs(identity).filter(pk=job_id).values_list("kind", flat=True).first()
    presentation = presentation_of(kind) if kind is not None else None
    if presentation is None or presentation.new_url is None:
        raise RequestRefused(404, f"there is no job {job_id} that you may repeat", code="not_found")
    return HttpResponseRedirect(f"{start_url(presentation)}?{urlencode({'from': job_id})}")


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def new(request: HttpRequest, name: str) -> HttpResponse:
    """The form of a kind that has none of its own, made of what may be asked of it; a POST submits it."""
    identity = require(request, Permission.SUBMIT)
    kind = next((one for one in kinds() if one.name == name and one.parameters is not None), None)
    if kind is None:
        raise RequestRefused(404, f"no kind of job {name[:40]!r} is asked for here", code="not_found")
    fields, errors, status = fields_of(kind.parameters), {}, 200
    if request.method == "POST":
        try:
            return _to_job(_submitted(request, identity, kind).pk)
        except InvalidRequest as error:
            errors, status = {error.field: str(error).partition(": ")[2]}, 422
    said = {field.name: request.POST.get(field.name, field.default) for field in fields}
    context = {"kind": kind, "fields": fields, "said": said, "errors": errors}
    return render(request, "jobs/new.html", context, status=status)


def _submitted(request: HttpRequest, identity: Identity, kind: JobKind) -> Job:
    file, given = request.FILES.get("file"), request.POST
    sent = None
    if isinstance(file, TemporaryUploadedFile):
        sent = file_at(Path(file.temporary_file_path()), str(file.name))
    said = {field.name: given[field.name] for field in fields_of(kind.parameters) if given.get(field.name)}
    return submit(identity, request_for(kind, said, Options(title=given.get("title", "")), sent), sent)[0]


def _to_job(job_id: int) -> HttpResponse:
    return HttpResponseRedirect(reverse("jobs:detail", args=[job_id]))
