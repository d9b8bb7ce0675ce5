"""The way to Flower: administrators only, nothing of ours passed on but the question itself."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import httpx
from asgiref.sync import sync_to_async
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.views.decorators.csrf import csrf_exempt

from clustercore.access.domain.identity import Identity
from clustercore.access.domain.roles import Permission
from clustercore.access.http.identification import require
from clustercore.access.http.refusals import RequestRefused
from clustercore.access.services import audit
from clustercore.project.flower.process import PREFIX, credentials, socket_path, wanted_path

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
SECONDS = 30.0
RETRY_SECONDS = 10
ASKED_WITH = ("accept", "accept-language", "content-type", "if-modified-since", "if-none-match", "x-requested-with")
"""Headers of a request that Flower may see: no cookie and no token of ours."""
ANSWERED_WITH = (
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-length",
    "content-type",
    "etag",
    "expires",
    "last-modified",
    "vary",
)
"""Headers of an answer that a browser gets: Flower may set no cookie on our site."""
READS_BY_POST = (f"/{PREFIX}/tasks/datatable",)
STARTING_SECONDS = 2
STARTING = (
    "It runs only while somebody looks at it, and takes some seconds to start. This page asks again by itself; if it "
    "goes on for a minute, logs/flower.log in the hub's data directory says why."
)
AWAY = (
    "Flower does not run; the cluster works without it, and the pages Jobs and Nodes show what counts. If the "
    "hub was started with --no-flower, type `clustercore down`, then `clustercore up` without that word."
)
_LONGEST_FORM = 500

logger = logging.getLogger(__name__)


@csrf_exempt
async def flower(request: HttpRequest, place: str = "") -> HttpResponseBase:  # noqa: ARG001
    """Passes a request to Flower and its answer back, as it comes.

    Flower's pages know no CSRF token of ours: what would change something must come from this very site instead.
    """
    identity = await sync_to_async(require)(request, Permission.ADMINISTER)
    if identity.token_id is not None:
        raise RequestRefused(403, "Flower is opened by signing in: no token opens it", code="session_needed")
    if request.method not in SAFE_METHODS:
        if not _is_from_this_site(request):
            raise RequestRefused(403, "this request comes from another site", code="csrf_failed")
        if request.path not in READS_BY_POST:
            await sync_to_async(_note)(identity, request)
    is_kept = _want()
    try:
        return await _ask(request)
    except httpx.TransportError as trouble:
        # One that just ends, because nobody looked, may break an answer off: it is started again all the same.
        if is_kept and not isinstance(trouble, httpx.TimeoutException):
            raise RequestRefused(503, STARTING, code="flower_starting", retry_after=STARTING_SECONDS) from trouble
        raise _away(trouble) from trouble


def _want() -> bool:
    """Has Flower started, and kept for a while; whether anybody does so."""
    try:
        os.utime(wanted_path(settings.DATA_DIR))
    except OSError:
        return False
    return True


def _away(trouble: httpx.TransportError) -> RequestRefused:
    logger.warning("Flower does not answer: %s", trouble)
    return RequestRefused(503, AWAY, code="flower_away", retry_after=RETRY_SECONDS)


def _is_from_this_site(request: HttpRequest) -> bool:
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    origin = urlsplit(request.headers.get("Origin", ""))
    return (origin.scheme, origin.netloc) == (request.scheme, request.get_host())


def _note(identity: Identity, request: HttpRequest) -> None:
    form = request.body[:_LONGEST_FORM].decode("utf-8", "replace")
    deed = request.path.removeprefix(f"/{PREFIX}/")
    audit.record(identity, "flower.asked", deed, query=request.META.get("QUERY_STRING", ""), form=form)


async def _ask(request: HttpRequest) -> HttpResponseBase:
    """Raises httpx.TransportError where Flower does not answer."""
    transport = httpx.AsyncHTTPTransport(uds=str(socket_path(settings.DATA_DIR)))
    client = httpx.AsyncClient(transport=transport, auth=credentials(settings.DATA_DIR), timeout=SECONDS)
    headers = {name: request.headers[name] for name in ASKED_WITH if name in request.headers}
    # Only what the browser can unpack: the answer is passed on as it is.
    headers["accept-encoding"] = request.headers.get("accept-encoding", "identity")
    try:
        question = client.build_request(
            str(request.method), f"http://flower{request.get_full_path()}", headers=headers, content=request.body
        )
        answer = await client.send(question, stream=True)
    except BaseException:
        await client.aclose()
        raise
    return await _passed_back(request, client, answer)


async def _passed_back(request: HttpRequest, client: httpx.AsyncClient, answer: httpx.Response) -> HttpResponseBase:
    response: HttpResponseBase
    if request.method == "HEAD" or answer.status_code in (204, 304):
        await _close(client, answer)
        response = HttpResponse(status=answer.status_code)
    else:
        response = StreamingHttpResponse(_chunks(client, answer), status=answer.status_code)
    for name in ANSWERED_WITH:
        if name in answer.headers:
            response[name] = answer.headers[name]
    goal = urlsplit(answer.headers.get("location", ""))
    if goal.path.startswith(f"/{PREFIX}/"):
        response["location"] = goal._replace(scheme="", netloc="").geturl()
    return response


async def _chunks(client: httpx.AsyncClient, answer: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for chunk in answer.aiter_raw():
            yield chunk
    finally:
        await _close(client, answer)


async def _close(client: httpx.AsyncClient, answer: httpx.Response) -> None:
    await answer.aclose()
    await client.aclose()
