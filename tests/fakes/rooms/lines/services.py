"""The handler of the one stage."""

from __future__ import annotations

from clustercore.jobs.domain.unit_context import UnitContext
from clustercore.jobs.domain.verdict import Done, Verdict
from tests.fakes.rooms.lines.domain import lines_in


def count(context: UnitContext) -> Verdict:
    """Counts the lines of the file that the job is about."""
    text = context.fetch(context.parameters["blob"]).read_text(errors="replace")
    return Done({"lines": lines_in(text, skip_empty=context.parameters["skip_empty"])})
