"""The ledger."""

from __future__ import annotations

from clustercore.jobs.models.ready import Demand, Ready
from clustercore.jobs.models.sums import Counter, JobCount, WorkDone
from clustercore.jobs.models.sweep import Sweep
from clustercore.jobs.models.timer import Timer
from clustercore.jobs.models.work import Attempt, Job, JobBlob, JobEvent, Question, Unit, UnitAfter

__all__ = [
    "Attempt",
    "Counter",
    "Demand",
    "Job",
    "JobBlob",
    "JobCount",
    "JobEvent",
    "Question",
    "Ready",
    "Sweep",
    "Timer",
    "Unit",
    "UnitAfter",
    "WorkDone",
]
