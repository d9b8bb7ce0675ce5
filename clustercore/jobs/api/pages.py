"""Long lists a page at a time: a cursor says where the next page begins, whatever was added meanwhile."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from clustercore.access.http.refusals import RequestRefused

USUAL, MOST = 50, 200
_LARGEST_ID = 2**63 - 1

PAGE_PARAMETERS = [
    OpenApiParameter(
        "cursor",
        {"type": "string", "maxLength": 40, "pattern": "^[A-Za-z0-9_-]*$"},
        description="The `next_cursor` of the page before; empty or left out for the first page.",
    ),
    OpenApiParameter(
        "limit",
        {"type": "integer", "minimum": 1, "maximum": MOST, "default": USUAL},
        description="How many on a page.",
    ),
]


@dataclass(frozen=True, slots=True)
class Page:
    """What part of a list was asked for."""

    limit: int = USUAL
    after: int | None = None
    """The id of the last row of the page before."""


def page_asked(parameters: Mapping[str, str]) -> Page:
    """From the query. Raises RequestRefused (400) that names the parameter."""
    text = parameters.get("limit")
    if text is not None and not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MOST):
        raise RequestRefused(400, f"limit: a whole number from 1 to {MOST} is wanted", param="limit", code="invalid")
    cursor = parameters.get("cursor")
    return Page(int(text) if text is not None else USUAL, _id_in(cursor) if cursor else None)


def page_of(request: Request) -> Page:
    """The page that a request asks for. Raises RequestRefused (400)."""
    return page_asked(request.GET)


def page_body(rows: Sequence[Mapping[str, Any]], page: Page) -> dict[str, Any]:
    """`{"results", "next_cursor"}` from one row more than the page holds, if there is one."""
    shown = rows[: page.limit]
    more = len(rows) > page.limit
    return {"results": shown, "next_cursor": cursor_after(shown[-1]["id"]) if more else None}


def cursor_after(row_id: int) -> str:
    """The cursor of the page that follows the row."""
    return base64.urlsafe_b64encode(str(row_id).encode()).decode().rstrip("=")


def _id_in(cursor: str) -> int:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        found = int(text) if text.isdigit() and len(text) < 20 else -1
    except (binascii.Error, ValueError):
        found = -1
    if not 0 <= found <= _LARGEST_ID:
        raise RequestRefused(
            400, "cursor: give back the `next_cursor` of the page before, unchanged", param="cursor", code="invalid"
        )
    return found
