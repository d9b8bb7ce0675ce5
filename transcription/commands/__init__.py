"""The commands of recordings and their texts, by name, and what the doctor is told of what they need."""

from __future__ import annotations

from clustercore.terminal.domain.commands import FIRST, JOBS, Command, Needs

COMMANDS = (
    Command(
        "demo",
        f"{__name__}.demo:demo",
        "See it work, with nothing configured: two nodes on this machine share one recording.",
        FIRST,
        Needs.PAGES,
        place=1,
    ),
    Command(
        "transcribe",
        f"{__name__}.transcribe:transcribe",
        "Turn recordings into text and captions, on every node of the cluster at once.",
        FIRST,
        place=3,
        example="clustercore transcribe FILE",
    ),
    Command(
        "export",
        f"{__name__}.exporting:export",
        "Write the texts of jobs; of a job that is not done, what is there so far.",
        JOBS,
        place=2,
    ),
)
FINDINGS = (f"{__name__}.findings:media_findings",)
