"""When something of a running job is due, kept by triggers of the database (migration `jobs.0020`)."""

from __future__ import annotations

from django.db import models

from clustercore.jobs.models.work import Job


class Timer(models.Model):
    """The time at which a running job is to be looked at: whoever asks what is due reads no job and no unit.

    It may be too early, of a unit that is over by then, and never too late.
    """

    job = models.OneToOneField(Job, on_delete=models.CASCADE, primary_key=True, related_name="+")
    kind = models.CharField(max_length=40, help_text="The job's: nodes that do not know it pass over it.")
    due_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["kind", "due_at"], name="timer_by_kind")]

    def __str__(self) -> str:
        return f"job {self.job_id} at {self.due_at}"
