"""Told to schemathesis by SCHEMATHESIS_HOOKS: how to send the media type of resumable uploads, and not to wait long."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import schemathesis

LONGEST_WAIT_SECONDS = 0.05


@schemathesis.serializer("application/offset+octet-stream")
def as_they_are(_context: Any, value: Any) -> bytes:
    """Bytes as they are, anything else as its text."""
    data = getattr(value, "data", value)
    return data if isinstance(data, bytes) else str(data).encode(errors="replace")


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: Any) -> None:
    """Hundreds of requests that wait a minute each for a job that nobody works at would take hours."""
    wait = (case.query or {}).get("wait")
    with suppress(ValueError):
        if wait is not None and LONGEST_WAIT_SECONDS < float(str(wait)) <= 60:
            case.query["wait"] = type(wait)(LONGEST_WAIT_SECONDS)
