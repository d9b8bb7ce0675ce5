"""How what a service refuses reads as an answer: the one table of statuses, and the one shape of an error.

The OpenAI clients read that shape, and people can.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clustercore.access.domain.errors import (
    Conflict,
    Expired,
    InUse,
    Invalid,
    NoRoom,
    NotFound,
    NotIdentified,
    NotPermitted,
    Refused,
    TooLarge,
    TooMany,
    Unacceptable,
    Unavailable,
)

STATUSES: Mapping[type[Refused], int] = {
    Invalid: 400,
    NotIdentified: 401,
    NotPermitted: 403,
    NotFound: 404,
    Conflict: 409,
    Expired: 410,
    TooLarge: 413,
    Unacceptable: 422,
    InUse: 423,
    TooMany: 429,
    Unavailable: 503,
    NoRoom: 507,
}
"""Every error that a service may raise is one of these."""

TYPES: Mapping[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "method_not_allowed",
    409: "conflict_error",
    412: "precondition_failed",
    413: "request_too_large",
    415: "unsupported_media_type",
    422: "unprocessable_entity",
    429: "rate_limit_error",
    503: "service_unavailable",
}


def error_body(status: int, message: str, *, param: str | None = None, code: str | None = None) -> dict[str, Any]:
    """Returns `{"error": {"message", "type", "param", "code"}}`: `param` names the field, `message` the remedy."""
    kind = TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


class RequestRefused(Exception):
    """A request that is answered with this status; views and sockets raise it, services raise `Refused`."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code
        self.retry_after = retry_after

    @property
    def body(self) -> dict[str, Any]:
        return error_body(self.status, self.message, param=self.param, code=self.code)


def refusal_of(error: BaseException) -> RequestRefused | None:
    """Returns the answer that an error stands for; None for an error that nobody foresaw."""
    if isinstance(error, RequestRefused):
        return error
    if not isinstance(error, Refused):
        return None
    return answer_to(error)


def answer_to(error: Refused) -> RequestRefused:
    """Returns the answer to what a service refused."""
    return RequestRefused(
        status_of(error), error.message, param=error.field, code=error.code, retry_after=error.retry_after
    )


def status_of(error: Refused) -> int:
    """Returns the status of what a service refused."""
    return next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)
