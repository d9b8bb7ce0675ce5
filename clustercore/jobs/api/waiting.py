"""`?wait=SECONDS` on a job: the answer comes when the job is over, or after so long."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiParameter

from clustercore.access.domain.roles import Permission
from clustercore.access.http.identification import require
from clustercore.access.http.refusals import RequestRefused
from clustercore.access.services.async_waiting import in_thread, release_connection
from clustercore.jobs.domain.lifecycle import FINAL_JOB_STATES
from clustercore.jobs.models import Job
from clustercore.jobs.services.actions import require_visible
from clustercore.live.adapters.notices import changes_of

LONGEST_WAIT_SECONDS = 60
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.2, 1.0
"""Between two looks at the ledger, where nobody is told of changes; where they are, always the longest."""
WAIT_PARAMETER = OpenApiParameter(
    "wait",
    {"type": "number", "minimum": 0, "maximum": LONGEST_WAIT_SECONDS},
    description="Answer when the job is over, or after so many seconds if it is not by then; without it, at once.",
)

View = Callable[..., HttpResponseBase]


def answers_when_over(view: View) -> Callable[..., Coroutine[Any, Any, HttpResponseBase]]:
    """Returns the view of one job, which waits where its `GET` asks it to, and holds nothing meanwhile."""

    @wraps(view)
    async def waiting_view(request: HttpRequest, job_id: int) -> HttpResponseBase:
        if request.method != "GET" or "wait" not in request.GET:
            return await sync_to_async(view)(request, job_id=job_id)
        seconds = await sync_to_async(_seconds_to_wait)(request, job_id)
        await release_connection()
        await _until_over(job_id, seconds)
        return await in_thread(lambda: view(request, job_id=job_id))

    return waiting_view


def _seconds_to_wait(request: HttpRequest, job_id: int) -> float:
    """Raises RequestRefused also where the view itself would: nobody waits for what they may not see."""
    require_visible(require(request, Permission.VIEW), job_id)
    text = request.GET["wait"]
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= LONGEST_WAIT_SECONDS:
        message = f"wait: {text[:40]!r} is not a number of seconds from 0 to {LONGEST_WAIT_SECONDS}"
        raise RequestRefused(400, message, param="wait", code="invalid")
    return seconds


async def _until_over(job_id: int, seconds: float) -> None:
    """Returns when the job is over or gone, or after so long."""
    clock = asyncio.get_running_loop().time
    deadline, pause = clock() + seconds, FIRST_PAUSE_SECONDS
    with changes_of(job_id, only_end=True) as changes:
        while await in_thread(lambda: _is_open(job_id)) and (left := deadline - clock()) > 0:
            if await changes.within(min(left, LONGEST_PAUSE_SECONDS if changes.is_told else pause)):
                return
            pause = min(LONGEST_PAUSE_SECONDS, pause * 1.3)


def _is_open(job_id: int) -> bool:
    return Job.objects.filter(pk=job_id).exclude(state__in=FINAL_JOB_STATES).exists()
