"""The shape of marking an essay: split ──► mark, mark, … ──► conclude."""

from clustercore.jobs.domain.kinds import JobKind, Stage
from tests.fakes.rooms.marks.domain import MarkEssay
from tests.fakes.rooms.marks.services import conclude, mark, split

MARKS = JobKind(
    name="marks",
    noun="Essay",
    amount_unit="words",
    parameters=MarkEssay,
    takes_file=True,
    stages=(
        Stage(name="split", handler=split),
        Stage(name="mark", capability="mark", handler=mark, tolerance=0.5, ranked=True, self_contained=True),
        Stage(name="conclude", handler=conclude, opens="barrier", light=True),
    ),
)
