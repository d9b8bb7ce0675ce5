"""A job with the facts of its kind, as plain JSON values; the rest of it is in `jobs/domain/bodies.py`."""

from __future__ import annotations

from typing import Any

from clustercore.jobs.api.serializers import serializer_of
from clustercore.jobs.domain.bodies import progress_body
from clustercore.jobs.domain.presentation import presentation_of
from clustercore.jobs.domain.progress import JobProgress
from clustercore.jobs.selectors.presenting import facts_of


def job_detail_body(job: JobProgress) -> dict[str, Any]:
    """As JobDetailSerializer describes it, with the facts of its kind."""
    presentation = presentation_of(job.kind)
    facts = facts_of(presentation, job.id) if presentation is not None else None
    result_url = presentation.result_url if presentation is not None else None
    return {
        **progress_body(job),
        "facts": serializer_of(presentation)(facts).data if presentation is not None and facts is not None else None,
        "result_url": result_url(job.id) if result_url is not None and job.has_result else None,
    }
