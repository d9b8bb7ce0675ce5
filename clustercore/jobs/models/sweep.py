"""When one node last did for the cluster what one does for all."""

from __future__ import annotations

from datetime import UTC, datetime

from django.db import models


class Sweep(models.Model):
    """One row: when somebody last did for the cluster what one node does for all. Taken by one UPDATE."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    swept_at = models.DateTimeField(db_default=models.Value(datetime(2000, 1, 1, tzinfo=UTC)))
    timed_at = models.DateTimeField(
        db_default=models.Value(datetime(2000, 1, 1, tzinfo=UTC)), help_text="When what is due at a time was looked at."
    )

    def __str__(self) -> str:
        return f"swept {self.swept_at}"
