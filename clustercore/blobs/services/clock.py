"""A database whose clock is set: what blobs and uploads tell of the past, and when uploads end, moves by the step."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import DateTimeField, ExpressionWrapper, F
from django.db.models.expressions import Combinable
from django.db.models.functions import Least, Now

from clustercore.blobs.domain.reservations import RESERVED_SECONDS
from clustercore.blobs.models import Blob, Upload
from clustercore.config.environment import environment


def shift_times(step: float) -> None:
    """Moves when blobs were stored, bytes came and uploads end by a step of the database's clock, in seconds.

    Set back, only what lies further ahead than anything written since can; set forward, whatever would still count
    without the step, and what was written since stays where it is, because nothing is moved beyond that.
    """
    latest_end = Now() + timedelta(hours=environment().upload_hours)
    open_ones = Upload.objects.all() if step > 0 else Upload.objects.filter(expires__gt=latest_end)
    open_ones.update(expires=Least(_moved("expires", step), latest_end))
    moving = Upload.objects.filter(moved__gt=_counts_from(step, timedelta(seconds=RESERVED_SECONDS)))
    moving.update(moved=Least(_moved("moved", step), Now()))
    unsettled = _counts_from(step, timedelta(hours=environment().unreferenced_hours))
    Blob.objects.filter(stamped__gt=unsettled).update(stamped=Least(_moved("stamped", step), Now()))


def _moved(column: str, step: float) -> Combinable:
    return ExpressionWrapper(F(column) + timedelta(seconds=step), output_field=DateTimeField())


def _counts_from(step: float, age: timedelta) -> Combinable:
    """After which time something must lie to be moved, where it counts until it has that age."""
    return Now() - age - timedelta(seconds=step) if step > 0 else Now()
