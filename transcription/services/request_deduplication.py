"""Requests of the OpenAI-compatible API as jobs: a request that is sent again finds the job that serves it already.

Clients of that API send a request again when no answer came within their time limit, without saying that it is the
same one. Two requests of one person are therefore taken for one when they hear the same bytes in the same way, and the
first one's job is still at work, or was done in the last minutes. Whoever wants it heard anew says so by an
`Idempotency-Key` of their own.
"""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Q
from django.db.models.functions import Now

from clustercore.access.domain.errors import Invalid, NotFound, Unavailable
from clustercore.access.domain.identity import Identity
from clustercore.jobs.domain.lifecycle import JobState
from clustercore.jobs.models import Job
from clustercore.jobs.services.sent_files import Sent
from clustercore.nodes.selectors import usable_models
from transcription.domain.openai_request import BEHAVIOURS, Wanted
from transcription.domain.speech_task import Task, capability_for
from transcription.services.submit import Wishes, submit_sent

SAME_REQUEST = timedelta(minutes=10)
"""As long as the clients' own time limit."""
NOBODY_TRANSLATES = (
    "no live node can translate: `clustercore models pull faster-whisper:small` on one of them, then try again"
)


class ModelUnknown(NotFound):
    """No live node has the model."""

    code = "model_not_found"


class NoAbleNode(Unavailable):
    """No live node can do it."""

    code = "no_able_node"


class ModelCannotTranslate(Invalid):
    """The model that was named cannot translate."""

    code = None


def find_or_submit(identity: Identity, wanted: Wanted, sent: Sent, key: str | None) -> int:
    """The id of the job that serves a request. Raises as `refuse_unknown_model`, InvalidRequest,
    KeyReused, BacklogFull."""
    refuse_unknown_model(wanted)
    start = f"v1:{wanted.digest(sent.sha256())}:"
    if key is None:
        serving, over = _same_requests(identity, start)
        if serving:
            return max(serving)
        key = start + str(over)
    wishes = Wishes(
        language=wanted.language,
        prompt=wanted.prompt,
        task=wanted.task,
        quality=wanted.quality,
        engine=wanted.engine,
        idempotency_key=key,
    )
    job, _ = submit_sent(identity, sent, wishes)
    return job.pk


def refuse_unknown_model(wanted: Wanted) -> None:
    """Raises ModelUnknown, ModelCannotTranslate, and NoAbleNode where nobody can translate."""
    capability = capability_for({"task": wanted.task})
    able = {f"{model.engine}:{model.model}" for model in usable_models(capability)}
    if wanted.model in BEHAVIOURS:
        if wanted.task == Task.TRANSLATE and not able:
            raise NoAbleNode(NOBODY_TRANSLATES, field="model", retry_after=30)
        return
    if wanted.model in able:
        return
    if wanted.model in {f"{model.engine}:{model.model}" for model in usable_models("stt")}:
        raise ModelCannotTranslate(f"model: {wanted.model!r} cannot translate; {NOBODY_TRANSLATES}", field="model")
    message = f"model: no live node has {wanted.model[:200]!r}; GET /v1/models lists what there is"
    raise ModelUnknown(message, field="model")


def _same_requests(identity: Identity, start: str) -> tuple[list[int], int]:
    """The jobs that serve this request, and how many did before.

    One statement tells both: a job written between two would be missing in the first and counted by the second, and
    two who ask at once would get a key, and a job, each.
    """
    serves = Q(state__in=[JobState.RUNNING, JobState.PAUSED]) | Q(
        state=JobState.DONE, finished__gt=Now() - SAME_REQUEST
    )
    same = Job.objects.filter(owner=identity.user_id, idempotency_key__startswith=start)
    told = list(same.annotate(serves=serves).values_list("pk", "serves"))
    serving = [job_id for job_id, serves_now in told if serves_now]
    return serving, len(told) - len(serving)
