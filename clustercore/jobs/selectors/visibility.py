"""Which jobs a person may see, and which they may act on: the only place that decides it."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from clustercore.access.domain.identity import Identity
from clustercore.access.domain.roles import Permission
from clustercore.jobs.models import Job, JobCount


def visible_jobs(identity: Identity) -> QuerySet[Job]:
    """Administrators see all; others their own and what is shared. A job nobody owns is an administrator's."""
    return Job.objects.filter(_is_visible(identity))


def visible_counts(identity: Identity) -> QuerySet[JobCount]:
    """Returns the counts of those very jobs."""
    return JobCount.objects.filter(_is_visible(identity))


def _is_visible(identity: Identity) -> Q:
    if not identity.may(Permission.VIEW):
        return Q(pk__in=[])
    if identity.may(Permission.ADMINISTER):
        return Q()
    return Q(owner=identity.user_id) | Q(shared=True)


def operable_jobs(identity: Identity) -> QuerySet[Job]:
    """Administrators may act on all; operators on their own."""
    if not identity.may(Permission.OPERATE):
        return Job.objects.none()
    if identity.may(Permission.ADMINISTER):
        return Job.objects.all()
    return Job.objects.filter(owner=identity.user_id)
