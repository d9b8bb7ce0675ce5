"""How an error of another room reads as an answer: the room that raises it says so, once; the API asks here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from clustercore.access.domain.errors import RequestRefused

_REFUSALS: dict[type[Exception], Callable[[Any], RequestRefused]] = {}


def refuse_as(error: type[Exception], refusal: Callable[[Any], RequestRefused]) -> None:
    """From now on `error`, raised while a request is served, is answered with `refusal(error)`."""
    _REFUSALS[error] = refusal


def refusal_of(error: BaseException) -> RequestRefused | None:
    """The refusal that an error stands for; None for an error that nobody foresaw."""
    if isinstance(error, RequestRefused):
        return error
    for known in type(error).__mro__:
        if known in _REFUSALS:
            return _REFUSALS[known](error)
    return None
