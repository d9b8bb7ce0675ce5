"""Jobs as plain JSON values. Built by hand: a serializer's fields would cost more than the query for a long list."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from clustercore.jobs.api.serializers import serializer_of
from clustercore.jobs.domain.presentation import presentation_of
from clustercore.jobs.domain.progress import JobProgress, NodeShare, UnitProgress
from clustercore.jobs.selectors.presenting import facts_of

_DECIMALS = 3


def job_body(job: JobProgress) -> dict[str, Any]:
    """As JobSerializer describes it."""
    left, place = job.seconds_left, job.place
    return {
        "id": job.id,
        "kind": job.kind,
        "title": job.title,
        "state": job.state,
        "standing": job.standing,
        "stage": job.stage,
        "priority": job.priority,
        "language": job.language,
        "waiting": job.waiting,
        "asks": job.asks,
        "place": place.number if place is not None else None,
        "starts_in_seconds": place.starts_in_seconds if place is not None else None,
        "error": job.error,
        "gaps": job.gaps,
        "owner": job.owner,
        "shared": job.shared,
        "created": job.created,
        "finished": job.finished,
        "elapsed_seconds": round(job.elapsed_seconds, _DECIMALS),
        "waited_seconds": round(job.waited_seconds, _DECIMALS),
        "worked_seconds": round(job.worked_seconds, _DECIMALS),
        "speed": job.speed,
        "seconds_left": round(left, _DECIMALS) if left is not None else None,
        "fraction": round(job.fraction, 6),
        "units": {
            "done": job.done,
            "running": job.running,
            "failed": job.failed,
            "total": job.total,
            "all_queued": job.all_queued,
        },
    }


def job_detail_body(job: JobProgress) -> dict[str, Any]:
    """As JobDetailSerializer describes it, with the facts of its kind."""
    presentation = presentation_of(job.kind)
    facts = facts_of(presentation, job.id) if presentation is not None else None
    result_url = presentation.result_url if presentation is not None else None
    return {
        **job_body(job),
        "stages": [{"stage": one.stage, "total": one.total, "states": dict(one.states)} for one in job.stages],
        "units_per_minute": round(job.pace.units_per_minute, _DECIMALS) if job.pace is not None else None,
        "shares": [_share_body(share) for share in job.shares],
        "facts": serializer_of(presentation)(facts).data if presentation is not None and facts is not None else None,
        "result_url": result_url(job.id) if result_url is not None and job.has_result else None,
    }


def unit_body(unit: UnitProgress) -> dict[str, Any]:
    """As UnitSerializer describes it."""
    return {**asdict(unit), "speed": unit.speed}


def _share_body(share: NodeShare) -> dict[str, Any]:
    return {**asdict(share), "speed": share.speed}
