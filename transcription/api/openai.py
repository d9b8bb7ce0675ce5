"""`/v1`: transcriptions, translations and models as the clients of the OpenAI API want them.

A request waits in an asynchronous view, never in a thread: it is told of changes, and looks at the ledger now and then
all the same. When its client hangs up, the job goes on, and the client's next request finds it.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from functools import partial

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt

from clustercore.access.domain.identity import Identity
from clustercore.access.domain.roles import Permission
from clustercore.access.http.identification import require
from clustercore.access.http.refusals import RequestRefused, error_body
from clustercore.access.services.async_waiting import in_thread, release_connection
from clustercore.blobs.adapters.received import ReceivedFile
from clustercore.blobs.http.received import received_with
from clustercore.config.environment import environment
from clustercore.jobs.services.sent_files import received_file
from clustercore.live.adapters.notices import changes_of
from transcription.domain.openai_answers import NoSpeakers, Stream, answer, event, refuse_without_speakers
from transcription.domain.openai_request import BadParameter, Wanted, wanted_from
from transcription.domain.speech_task import Task
from transcription.selectors import transcript_of
from transcription.services.job_result import Outcome, leading_pieces, outcome_of, segments_between
from transcription.services.request_deduplication import find_or_submit

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.2, 1.0
"""Between two looks at the ledger, where nobody is told of changes; where they are, always the longest."""
KEEP_ALIVE_SECONDS = 10.0
WAIT_AGAIN_SECONDS = 30
"""What a person is told to wait before asking again for a job that no node can do yet."""


class Unserved(Exception):
    """The job ended without a transcript, or cannot go on; `refusal` is what the client is told."""

    def __init__(self, refusal: RequestRefused) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


@csrf_exempt
async def transcribe(request: HttpRequest) -> HttpResponseBase:
    """POST: what is said, in its own language."""
    return await _hear(request, Task.TRANSCRIBE)


@csrf_exempt
async def translate(request: HttpRequest) -> HttpResponseBase:
    """POST: what is said, in English."""
    return await _hear(request, Task.TRANSLATE)


async def _hear(request: HttpRequest, task: str) -> HttpResponseBase:
    if request.method != "POST":
        return HttpResponse(status=405, headers={"Allow": "POST"})
    wanted, received, identity = await sync_to_async(_read)(request, task)
    # First of all: whoever holds a connection while it asks for another one can wait for ever.
    await release_connection()
    key = request.headers.get("Idempotency-Key")
    job_id = await in_thread(lambda: find_or_submit(identity, wanted, received_file(received), key))
    received.discard()
    if wanted.stream:
        response: HttpResponseBase = StreamingHttpResponse(
            _events(job_id, wanted),
            content_type="text/event-stream; charset=utf-8",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )
    else:
        response = await _whole(job_id, wanted)
    response["X-Clustercore-Job"] = str(job_id)
    return response


def _read(request: HttpRequest, task: str) -> tuple[Wanted, ReceivedFile, Identity]:
    identity = require(request, Permission.SUBMIT)
    require(request, Permission.VIEW)
    received = received_with(getattr(request, "scope", {}))
    if received is None or received.field != "file":
        raise RequestRefused(
            400, "file: send the recording in the field `file` of a multipart/form-data request", param="file"
        )
    fields = [(name, text) for name, texts in request.POST.lists() for text in texts]
    try:
        wanted = wanted_from([(name, str(text)) for name, text in fields], task)
    except BadParameter as error:
        raise RequestRefused(400, str(error), param=error.name, code="invalid_parameter") from None
    return wanted, received, identity


async def _whole(job_id: int, wanted: Wanted) -> HttpResponse:
    try:
        await _until_over(job_id)
        transcript = await in_thread(lambda: transcript_of(job_id, as_heard=True))
        body, media_type = answer(transcript, wanted)
    except NoSpeakers as error:
        raise RequestRefused(400, str(error), param="response_format", code="no_speakers") from None
    except Unserved as error:
        return _unserved(error)
    return HttpResponse(body.encode(), content_type=media_type)


async def _until_over(job_id: int) -> None:
    """Returns when the job is done. Raises Unserved."""
    patience, pause = Patience(job_id), FIRST_PAUSE_SECONDS
    with changes_of(job_id, only_end=True) as changes:
        while not patience.look(await in_thread(lambda: outcome_of(job_id))):
            await changes.within(LONGEST_PAUSE_SECONDS if changes.is_told else pause)
            pause = min(LONGEST_PAUSE_SECONDS, pause * 1.3)


class Patience:
    """How long a request waits for a job that no node can do."""

    def __init__(self, job_id: int) -> None:
        self._job_id = job_id
        self._stuck_since: float | None = None

    def look(self, outcome: Outcome | None) -> bool:
        """Whether the job is done. Raises Unserved when it will not be, or not soon."""
        if outcome is None:
            raise Unserved(RequestRefused(404, f"job {self._job_id} was removed", code="job_removed"))
        if outcome.is_over and outcome.state != "done":
            raise Unserved(_failure(self._job_id, outcome))
        now = time.monotonic()
        self._stuck_since = (self._stuck_since or now) if outcome.stuck else None
        if self._stuck_since is not None and now - self._stuck_since >= environment().node_wait_seconds:
            message = f"job {self._job_id} waits, and stays: {outcome.stuck}. The same request finds it again"
            raise Unserved(RequestRefused(503, message, code="no_able_node", retry_after=WAIT_AGAIN_SECONDS))
        return outcome.is_over


def _failure(job_id: int, outcome: Outcome) -> RequestRefused:
    if outcome.state == "cancelled":
        return RequestRefused(409, f"job {job_id} was cancelled", code="job_cancelled")
    if outcome.bad_media:
        return RequestRefused(400, f"file: {outcome.error}", param="file", code="unusable_media")
    return RequestRefused(500, f"job {job_id} failed: {outcome.error}", code="job_failed")


def _unserved(error: Unserved) -> HttpResponse:
    refused = error.refusal
    response = JsonResponse(refused.body, status=refused.status)
    # The client would ask twice more by itself, and its user learn the reason after minutes.
    response["x-should-retry"] = "false"
    if refused.retry_after is not None:
        response["Retry-After"] = str(refused.retry_after)
    return response


async def _events(job_id: int, wanted: Wanted) -> AsyncGenerator[str, None]:
    """Text as it becomes final, in order; an error in the middle is an event that clients raise."""
    # Middleware has looked at the answer since the view returned it.
    await release_connection()
    patience, stream, heard = Patience(job_id), Stream(wanted), 0
    spoke = time.monotonic()
    try:
        with changes_of(job_id) as changes:
            while True:
                over = patience.look(await in_thread(lambda: outcome_of(job_id)))
                now_heard = await in_thread(lambda: leading_pieces(job_id))
                if now_heard > heard:
                    first, heard = heard, now_heard
                    segments = await in_thread(partial(segments_between, job_id, first, now_heard))
                    for one in stream.segments(segments):
                        yield event(one)
                        spoke = time.monotonic()
                if over:
                    break
                if time.monotonic() - spoke > KEEP_ALIVE_SECONDS:
                    spoke = time.monotonic()
                    yield ": still at work\n\n"
                await changes.within(LONGEST_PAUSE_SECONDS if changes.is_told else FIRST_PAUSE_SECONDS)
        transcript = await in_thread(lambda: transcript_of(job_id, as_heard=True))
        if wanted.format == "diarized_json":
            refuse_without_speakers(transcript)
        yield event(stream.done(transcript))
    except Unserved as error:
        yield event(error.refusal.body)
    except NoSpeakers as error:
        yield event(error_body(400, str(error), param="response_format", code="no_speakers"))
    yield "data: [DONE]\n\n"
