"""The handlers of the three stages."""

from __future__ import annotations

from clustercore.jobs.domain.new_unit import NewUnit
from clustercore.jobs.domain.unit_context import UnitContext
from clustercore.jobs.domain.verdict import Done, Fail, Verdict
from clustercore.jobs.selectors.presenting import results_of
from clustercore.jobs.services.serving import call_best
from tests.fakes.rooms.marks.domain import mean, paragraphs_of


def split(context: UnitContext) -> Verdict:
    """Makes a unit of each paragraph."""
    found = paragraphs_of(context.fetch(context.parameters["blob"]).read_text())
    units = [
        NewUnit(stage="mark", ordinal=number, payload={"text": text}, weight=len(text.split()))
        for number, text in enumerate(found)
    ]
    return Done({"paragraphs": len(found)}, then=units)


def mark(context: UnitContext) -> Verdict:
    """Marks one paragraph by the best model of this node."""
    if not any(character.isalpha() for character in context.payload["text"]):
        return Fail("there is no word in it")
    request = {"text": context.payload["text"], "highest": context.parameters["highest"]}
    return Done({"mark": call_best(context, request)["mark"]})


def conclude(context: UnitContext) -> Verdict:
    """Takes the mean of what was marked."""
    marks = [result["mark"] for result in results_of(context.job_id, "mark")]
    return Done({"mean": mean(marks), "of": len(marks)})
