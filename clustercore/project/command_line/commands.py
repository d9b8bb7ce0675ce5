"""Every command by name: what it says of itself in a list, where it is, and what has to be set up before it is loaded.

A list of commands is shown without importing any of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cache

from clustercore.config.adapters.plugins import has_module, load
from clustercore.config.environment import environment

FIRST = "Begin with these five"
JOBS = "Jobs"
MACHINES = "Machines"
PEOPLE = "People"
_HERE = "clustercore.project.command_line"


class Needs(Enum):
    """What a command is loaded into."""

    NOTHING = "nothing"
    """Not even the settings."""
    ENVIRONMENT = "environment"
    """The settings, and neither Django nor Celery."""
    TABLES = "tables"
    """Django's models, to look at them; not Celery, and nothing that works or gives work."""
    LEDGER = "ledger"
    """Django's models and Celery's tasks."""
    PAGES = "pages"
    """All that the web process has: addresses, signing, every table."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One command, or a group of them; `target` is the name of a function or a Typer in a module beside this one."""

    name: str
    target: str
    summary: str
    panel: str
    needs: Needs = Needs.LEDGER

    @property
    def path(self) -> str:
        """Returns `package.module:name`; that of a room's command is given whole."""
        return self.target if "." in self.target else f"{_HERE}.{self.target}"


COMMANDS = (
    Entry(
        "demo",
        "demo:demo",
        "See it work, with nothing configured: two nodes on this machine share one recording.",
        FIRST,
        Needs.PAGES,
    ),
    Entry(
        "up",
        "up:up",
        "Start the cluster on this machine: servers, web process and a worker node.",
        FIRST,
        Needs.ENVIRONMENT,
    ),
    Entry(
        "transcribe",
        "transcribe:transcribe",
        "Turn recordings into text and captions, on every node of the cluster at once.",
        FIRST,
    ),
    Entry(
        "jobs", "jobs:jobs", "List jobs, newest first, with how far they are and why one waits.", FIRST, Needs.TABLES
    ),
    Entry(
        "doctor",
        "doctor:doctor",
        "Look at everything that clustercore needs: servers, tables, disk, clock, engines, GPU, hub and nodes.",
        FIRST,
        Needs.PAGES,
    ),
    Entry(
        "job",
        "jobs:job",
        "Show one job: how far it is, which nodes and models serve it, and its story.",
        JOBS,
        Needs.TABLES,
    ),
    Entry(
        "export",
        "exporting:export",
        "Write the texts of jobs; of a job that is not done, what is there so far.",
        JOBS,
    ),
    Entry(
        "cancel", "job_actions:cancel", "End jobs now; what is done stays, `clustercore retry` takes it up again.", JOBS
    ),
    Entry("answer", "answering:answer", "Show what a job asks, and answer it.", JOBS),
    Entry("pause", "job_actions:pause", "Let jobs take no further work; what runs goes on.", JOBS),
    Entry("resume", "job_actions:resume", "Let paused jobs go on.", JOBS),
    Entry("retry", "job_actions:retry", "Try again what failed or was cancelled; what is done stays done.", JOBS),
    Entry(
        "rm",
        "job_actions:remove",
        "Delete jobs that are over, with their recordings, texts and every node's copies; exported files stay.",
        JOBS,
    ),
    Entry("submit", "submitting:submit_job", "Ask for a job of any kind, and print its result as JSON.", JOBS),
    Entry(
        "down",
        "up:down",
        "Stop what `clustercore up` started: nodes (with their grace), web process and servers.",
        MACHINES,
        Needs.ENVIRONMENT,
    ),
    Entry(
        "node",
        "node:node",
        "Make this machine a worker node, until Ctrl-C (work in hand gets its grace; once more ends it at once).",
        MACHINES,
    ),
    Entry("version", "version:version", "Say which version this is.", MACHINES, Needs.NOTHING),
    Entry(
        "nodes",
        "nodes:nodes",
        "List the nodes: state and its reason, machine, models with their rung and self-test.",
        MACHINES,
    ),
    Entry("models", "stored_models:models", "List, pull and remove the models of this machine.", MACHINES),
    Entry(
        "audit",
        "audit:audit",
        "Show who did what, and check that nobody changed the log afterwards.",
        PEOPLE,
    ),
    Entry("users", "people:users", "Say who may come in, and as what.", PEOPLE, Needs.PAGES),
    Entry(
        "tokens",
        "people:tokens",
        "Keys for programs: each has an owner, whose role bounds it, scopes, and an end.",
        PEOPLE,
        Needs.PAGES,
    ),
    Entry(
        "secrets",
        "vault:secrets",
        "Keep what the hub must know and nobody may read: encrypted, and never shown again.",
        PEOPLE,
    ),
)


@cache
def commands() -> tuple[Entry, ...]:
    """Returns all commands: these, and those of the rooms that were set (`ROOM.commands:COMMANDS`)."""
    of_rooms = [f"{room}.commands" for room in environment().rooms]
    return (*COMMANDS, *(entry for name in of_rooms if has_module(name) for entry in load(f"{name}:COMMANDS")))
