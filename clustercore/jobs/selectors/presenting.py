"""What people and programs see of a job of whatever kind, and where they start one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.urls import NoReverseMatch, reverse

from clustercore.access.domain.identity import Identity
from clustercore.jobs.domain.kinds import kind_named, kinds, outline_of
from clustercore.jobs.domain.lifecycle import UnitState
from clustercore.jobs.domain.presentation import Facts, Presentation, presentations
from clustercore.jobs.models import Job, Unit

MOST_RESULTS = 100
"""Of the units of a job's last stage, where these are its result."""


def facts_of(presentation: Presentation, job_id: int) -> Facts | None:
    """Returns what a kind knows of a job; by default its result."""
    if presentation.facts is not None:
        return presentation.facts([job_id]).get(job_id)
    return {"result": result_of(job_id)}


def result_of(job_id: int) -> Any:
    """Returns what the last stage made, as JSON: of one unit its result, of several a list of them, in order."""
    kind = Job.objects.filter(pk=job_id).values_list("kind", flat=True).first()
    known = outline_of(kind) if kind is not None else None
    if known is None:
        return None
    results = results_of(job_id, known.stages[-1], MOST_RESULTS)
    return results[0] if len(results) == 1 else results or None


def results_of(job_id: int, stage: str, most: int | None = None) -> list[Any]:
    """Returns the results of the units of a stage that are done, in order."""
    done = Unit.objects.filter(job_id=job_id, stage=stage, state=UnitState.DONE).order_by("ordinal")
    return list(done.values_list("result", flat=True)[:most])


def starts(identity: Identity) -> Sequence[tuple[str, str]]:
    """Returns what a person may start: the word on the button, and where it leads."""
    found = [(_action(one), start_url(one)) for one in presentations() if identity.may(one.submit_permission)]
    return [(action, url) for action, url in found if url]


def start_url(presentation: Presentation) -> str:
    """Returns where a person starts a job of a kind; empty where there is no such page."""
    try:
        if presentation.new_url is not None:
            return presentation.new_url()
        asked_here = {kind.name for kind in kinds() if kind.parameters is not None}
        return reverse("jobs:new", args=[presentation.kind]) if presentation.kind in asked_here else ""
    except NoReverseMatch:
        return ""


def _action(presentation: Presentation) -> str:
    return presentation.action or f"New: {noun_of(presentation)}"


def noun_of(presentation: Presentation) -> str:
    """Returns what a person calls a job of a kind."""
    if presentation.noun:
        return presentation.noun
    try:
        return kind_named(presentation.kind).noun
    except KeyError:
        return presentation.kind.capitalize()
