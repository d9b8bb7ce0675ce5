"""Told to schemathesis by SCHEMATHESIS_HOOKS: how to send the media type of resumable uploads."""

from __future__ import annotations

from typing import Any

import schemathesis


@schemathesis.serializer("application/offset+octet-stream")
def as_they_are(_context: Any, value: Any) -> bytes:
    """Bytes as they are, anything else as its text."""
    data = getattr(value, "data", value)
    return data if isinstance(data, bytes) else str(data).encode(errors="replace")
