"""The shape of a count: one stage."""

from clustercore.jobs.domain.kinds import JobKind, Stage
from tests.fakes.rooms.lines.domain import CountLines
from tests.fakes.rooms.lines.services import count

LINES = JobKind(
    name="lines",
    noun="Line count",
    parameters=CountLines,
    takes_file=True,
    stages=(Stage(name="count", handler=count),),
)
