"""What is ready to be claimed, kept by triggers of the database as units are queued."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from clustercore.jobs.models.work import Job


class Demand(models.Model):
    """What units ask of a node. Whether it may serve them is decided once for all of them, whichever jobs they are of.

    What a unit that is not ranked leaves open is empty or 0. Triggers of the database write the rows; unused ones go.
    """

    kind = models.CharField(max_length=40)
    stage = models.CharField(max_length=40)
    contract = models.SmallIntegerField()
    capability = models.CharField(max_length=40)
    ranked = models.BooleanField()
    engine = models.CharField(max_length=60, blank=True)
    model = models.CharField(max_length=200, blank=True)
    needs = ArrayField(models.TextField(), default=list, db_default=[], help_text="The units' own.")
    prefers = ArrayField(models.TextField(), default=list, db_default=[], help_text="The units' own.")
    job_needs = ArrayField(models.TextField(), null=True, help_text="The job's; NULL while they are not known.")
    min_rung = models.SmallIntegerField(null=True, blank=True, help_text="NULL while no floor is decided.")
    critical_accuracy = models.BooleanField(help_text="False where the floor is decided: it counts only before.")
    unused_since = models.DateTimeField(null=True, blank=True, help_text="Since when no work waits that asks for it.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=[
                    "kind",
                    "stage",
                    "contract",
                    "capability",
                    "ranked",
                    "engine",
                    "model",
                    "needs",
                    "prefers",
                    "job_needs",
                    "min_rung",
                    "critical_accuracy",
                ],
                name="one_row_per_demand",
                nulls_distinct=False,
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind}/{self.stage}/{self.contract} for {self.capability}"


class Ready(models.Model):
    """A job has queued units of this demand: whoever looks for work reads these few rows, and no job and no unit.

    A unit that is queued has its row; a row may be left over, and is removed by the sweep. Triggers of the database
    write the rows, claims remove them.
    """

    pk = models.CompositePrimaryKey("job_id", "demand_id")
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="ready", db_index=False)
    demand = models.ForeignKey(Demand, on_delete=models.CASCADE, related_name="ready", db_index=False)
    priority = models.SmallIntegerField(help_text="The job's.")
    is_due = models.BooleanField(help_text="Whether any unit of it may be begun now.")
    due_at = models.DateTimeField()
    queued_by = models.BigIntegerField(help_text="The transaction that last queued a unit of it.")

    class Meta:
        verbose_name_plural = "ready work"
        indexes = [
            models.Index(fields=["demand", "-priority", "job"], condition=Q(is_due=True), name="ready_in_order"),
            models.Index(fields=["due_at"], condition=Q(is_due=False), name="ready_later"),
        ]

    def __str__(self) -> str:
        return f"demand {self.demand_id} of job {self.job_id}"
