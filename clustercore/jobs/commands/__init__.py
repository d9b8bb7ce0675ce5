"""The commands of jobs, by name, and what the doctor is told of the work that this machine can do."""

from __future__ import annotations

from clustercore.terminal.domain.commands import FIRST, JOBS, Command, Needs

COMMANDS = (
    Command(
        "jobs",
        f"{__name__}.showing:jobs",
        "List jobs, newest first, with how far they are and why one waits.",
        FIRST,
        Needs.TABLES,
        place=4,
    ),
    Command(
        "job",
        f"{__name__}.showing:job",
        "Show one job: how far it is, which nodes and models serve it, and its story.",
        JOBS,
        Needs.TABLES,
        place=1,
    ),
    Command(
        "cancel",
        f"{__name__}.steering:cancel",
        "End jobs now; what is done stays, `clustercore retry` takes it up again.",
        JOBS,
    ),
    Command(
        "submit", f"{__name__}.submitting:submit_job", "Ask for a job of any kind, and print its result as JSON.", JOBS
    ),
    Command("answer", f"{__name__}.answering:answer", "Show what a job asks, and answer it.", JOBS),
    Command("pause", f"{__name__}.steering:pause", "Let jobs take no further work; what runs goes on.", JOBS),
    Command("resume", f"{__name__}.steering:resume", "Let paused jobs go on.", JOBS),
    Command(
        "retry", f"{__name__}.steering:retry", "Try again what failed or was cancelled; what is done stays done.", JOBS
    ),
    Command(
        "rm",
        f"{__name__}.steering:remove",
        "Delete jobs that are over, with all that is theirs alone, here and on every node; exported files stay.",
        JOBS,
    ),
)
FINDINGS = (f"{__name__}.findings:engine_findings",)
