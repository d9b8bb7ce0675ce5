"""What a client is told when something goes wrong: programs the one error shape, people a page."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.core.exceptions import RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.http import urlencode

from clustercore.access.http.refusals import RequestRefused, error_body, refusal_of

PROGRAM_PREFIXES = ("/api/", "/v1/")
DOCUMENTATION = "/api/v1/docs"
PROGRAM_PATHS = ("/api", "/v1", "/metrics")
REQUEST_ID = "clustercore.request_id"
"""The key in the scope of a request that holds what the answer's `x-request-id` says."""

LEDGER_AWAY = "the ledger does not answer: try again"
TOO_LARGE = "the request is larger than this address takes"

_REMEDIES = {
    400: "the request could not be read",
    404: "there is no such address here: the list is at /api/v1/docs",
    405: "this address does not take {method}: see the Allow header",
    413: TOO_LARGE,
    500: "something went wrong here; the hub's log has it under the request id {request_id}",
}
_TITLES = {
    400: "That request could not be read",
    401: "Sign in first",
    403: "That is not yours to do",
    404: "There is nothing here",
    409: "That cannot be done now",
    410: "This link is dead",
    413: "That was too large",
    429: "Not so fast",
    500: "Something went wrong here",
    503: "Not just now",
}
_TITLES_BY_CODE = {"csrf_failed": "This form is out of date", "flower_starting": "Flower is starting"}
_ASKED_AGAIN = {"flower_starting"}
"""Codes of refusals that are over in a moment: the browser is told to ask again by itself."""
_AWAY_STATES = ("08", "57P0", "53300")
"""PostgreSQL's codes for a broken connection, a server that ends or starts, and one that has none left."""

_logger = logging.getLogger(__name__)


class Errors:
    """Gives each failure its shape; in both of Django's worlds, and without a thread in the asynchronous one."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        return self._answer(request) if self.is_async else self.after(request, self.get_response(request))

    async def _answer(self, request: HttpRequest) -> HttpResponseBase:
        return self.after(request, await self.get_response(request))

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Refusals that a view raised; Django logs and answers the rest, and `after` gives that its shape."""
        refused = RequestRefused(413, TOO_LARGE) if isinstance(error, RequestDataTooBig) else refusal_of(error)
        if refused is not None:
            return refusal(request, refused)
        if isinstance(error, OperationalError | InterfaceError):
            return ledger_away(request, error)
        _note_bug(number_of(request), f"{request.method} {request.path}", error)
        return None

    def after(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if response.status_code >= 400 and is_for_programs(request.path) and not _is_json(response):
            response = _reshaped(request, response)
        if response.status_code == HTTPStatus.UNAUTHORIZED and _is_page_among_programs(request):
            response = _to_sign_in(request)
        elif response.status_code == HTTPStatus.UNAUTHORIZED and is_for_programs(request.path):
            response.setdefault("WWW-Authenticate", 'Bearer realm="clustercore"')
        return response


NOT_SOON = frozenset({"no_able_node"})
"""Codes of refusals that somebody has to mend first: the clients of the OpenAI API would ask twice more, and tell their
user the reason after minutes."""


def number_of(request: HttpRequest) -> str:
    """Returns what the answer's `x-request-id` says."""
    return str(getattr(request, "scope", {}).get(REQUEST_ID, "unknown"))


def is_for_programs(path: str) -> bool:
    """Whether an address is one of those that programs call."""
    return path.startswith(PROGRAM_PREFIXES) or path in PROGRAM_PATHS


def refusal(request: HttpRequest, refused: RequestRefused) -> HttpResponse:
    """The answer to a request that cannot be served, for whoever asked."""
    if is_for_programs(request.path):
        response: HttpResponse = JsonResponse(refused.body, status=refused.status)
        if refused.code in NOT_SOON:
            response["x-should-retry"] = "false"
    elif refused.status == HTTPStatus.UNAUTHORIZED and request.method in ("GET", "HEAD"):
        response = _to_sign_in(request)
    else:
        response = error_page(request, refused.status, refused.message, _TITLES_BY_CODE.get(refused.code or "", ""))
    if refused.retry_after is not None:
        response["Retry-After"] = str(refused.retry_after)
        if refused.code in _ASKED_AGAIN and request.method == "GET":
            response["Refresh"] = str(refused.retry_after)
    return response


def error_page(request: HttpRequest, status: int, message: str, title: str = "") -> HttpResponse:
    """A page that says what is wrong and what to do; programs get the one shape."""
    if is_for_programs(request.path):
        return _in_shape(request, status)
    context = {"title": title or title_of(status), "message": message, "status": status}
    return render(request, "access/refused.html", context, status=status)


def title_of(status: int) -> str:
    """The heading of a page that refuses."""
    return _TITLES.get(status, "That did not work")


def ledger_away(request: HttpRequest, error: Exception) -> HttpResponse:
    """No connection came in time, or it broke, or the ledger could not do it now (a deadlock, a full disk).

    Without asking who it is: that would wait for the ledger again.
    """
    note_ledger_trouble(number_of(request), error)
    refused = RequestRefused(503, LEDGER_AWAY, code="no_ledger", retry_after=5)
    if is_for_programs(request.path):
        return refusal(request, refused)
    context = {"title": title_of(503), "message": LEDGER_AWAY, "status": 503}
    page = HttpResponse(render_to_string("access/refused.html", context), status=503)
    page["Retry-After"] = str(refused.retry_after)
    return page


def broken(scope: Mapping[str, Any], error: Exception) -> RequestRefused:
    """Logs what nobody foresaw in front of Django; returns what a program is told of it."""
    _note_bug(scope[REQUEST_ID], f"{scope['method']} {scope['path']}", error)
    return RequestRefused(500, _REMEDIES[500].format(request_id=scope[REQUEST_ID]))


def _note_bug(number: str, asked: str, error: Exception) -> None:
    _logger.error("request %s failed: %s", number, asked, exc_info=error)


def note_ledger_trouble(number: str, error: Exception) -> None:
    """Logs why a request could not be served: with the place of it where the ledger was there and refused."""
    if _is_without_connection(error):
        _logger.warning("request %s: the ledger does not answer: %s", number, error)
    else:
        _logger.error("request %s: the ledger refused", number, exc_info=error)


def _is_without_connection(error: Exception) -> bool:
    """Whether nothing was asked yet, or the server went away meanwhile: the cause lies in no line of ours."""
    code = getattr(error.__cause__, "sqlstate", None)
    return code is None or code.startswith(_AWAY_STATES)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001
    return error_page(request, 400, "What your browser sent could not be read. Go back and try again.")


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001
    return error_page(request, 403, "Your role does not allow this. An administrator can change it.")


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001
    return error_page(request, 404, "It may have been removed, or it belongs to somebody else.")


def server_error(request: HttpRequest) -> HttpResponse:
    text = f"The hub's log has it under the request id {number_of(request)}."
    try:
        return error_page(request, 500, text)
    except Exception:  # the page itself needs the database, which may be what is wrong
        return HttpResponse(f"Something went wrong here. {text}\n", status=500, content_type="text/plain")


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form that did not come from our own page, or whose cookie is gone."""
    _logger.warning("CSRF check failed: %s", reason)
    message = "This form is too old, or came from elsewhere. Go back, load the page again, and repeat."
    return refusal(request, RequestRefused(403, message, code="csrf_failed"))


def _to_sign_in(request: HttpRequest) -> HttpResponse:
    address = f"{reverse('access:sign-in')}?{urlencode({'next': request.get_full_path()})}"
    if request.headers.get("HX-Request") == "true":
        return HttpResponse(status=204, headers={"HX-Redirect": reverse("access:sign-in")})
    return HttpResponseRedirect(address)


def _is_page_among_programs(request: HttpRequest) -> bool:
    """The description of the API stands beside the API, but people open it in a browser."""
    return request.path == DOCUMENTATION and "text/html" in request.headers.get("Accept", "")


def _is_json(response: HttpResponseBase) -> bool:
    return response.get("Content-Type", "").startswith("application/json")


def _reshaped(request: HttpRequest, response: HttpResponseBase) -> HttpResponse:
    """The same status and headers with a body in the one shape: a debug page's trace goes nowhere."""
    shaped = _in_shape(request, response.status_code)
    for name, value in response.items():
        if name.lower() not in ("content-type", "content-length", "content-encoding", "etag"):
            shaped[name] = value
    shaped.cookies = response.cookies
    return shaped


def _in_shape(request: HttpRequest, status: int) -> HttpResponse:
    phrase = _REMEDIES.get(status) or (HTTPStatus(status).phrase.lower() if status in set(HTTPStatus) else "refused")
    message = phrase.format(method=request.method, request_id=number_of(request))
    shaped = JsonResponse(error_body(status, message), status=status)
    shaped["Content-Length"] = str(len(shaped.content))
    return shaped
