"""What is counted as it happens, so that nobody has to read what is over."""

from __future__ import annotations

from django.db import models

from clustercore.jobs.domain.lifecycle import JobState
from clustercore.jobs.models.work import choices


class Counter(models.Model):
    """A cluster-wide count (fenced results, rejected messages …), added to in the ledger so that nothing resets it."""

    name = models.CharField(max_length=200, primary_key=True)
    value = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.name} = {self.value}"


class JobCount(models.Model):
    """How many jobs are in a state, of one owner, shared or not; kept by the database as jobs change (migration 0018).

    Several rows may be about the same jobs, some with negative numbers: their sum is what counts.
    """

    owner = models.BigIntegerField(null=True, help_text="The number of the account; empty where nobody owns them.")
    shared = models.BooleanField()
    state = models.CharField(max_length=12, choices=choices(JobState))
    jobs = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.jobs} {self.state}"


class WorkDone(models.Model):
    """A running sum over units that were done, kept by the database as their attempts end (migration 0018).

    Whoever finds the row of its kind, engine and bucket locked adds another one: nobody waits, and who reads sums up.
    """

    kind = models.CharField(max_length=40)
    engine = models.CharField(max_length=200)
    bucket = models.SmallIntegerField(help_text="How long they took: the place of the bound in `UNIT_BUCKETS`.")
    units = models.BigIntegerField()
    microseconds = models.BigIntegerField(help_text="Of work.")
    sound_microseconds = models.BigIntegerField()

    class Meta:
        verbose_name_plural = "work done"
        indexes = [models.Index(fields=["kind", "engine", "bucket"], name="work_done_by_bucket")]

    def __str__(self) -> str:
        return f"{self.units} units of {self.kind} by {self.engine}"
