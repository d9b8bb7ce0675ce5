"""The lines that a worker and its engine runners exchange: one JSON object per line, bounded in length."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

MAXIMUM_LINE_BYTES = 32 * 1024 * 1024
SHORTAGE = "resource_shortage"
"""The code of a failure that is none of the engine's: the machine lacks disk, memory or descriptors."""
OUT_OF_MEMORY = "out_of_memory"
"""The code of a failure that a smaller model need not share. The runner that tells it ends."""


def encode_line(message: Mapping[str, Any]) -> bytes:
    """One line, newline included. Raises TypeError or ValueError for what is not JSON (NaN is not) or too long."""
    line = json.dumps(message, allow_nan=False, separators=(",", ":")).encode() + b"\n"
    if len(line) > MAXIMUM_LINE_BYTES:
        raise ValueError(f"a message of {len(line)} bytes; at most {MAXIMUM_LINE_BYTES} fit a line")
    return line


def decode_line(line: bytes) -> dict[str, Any]:
    """The object in `line`. Raises ValueError for a line that is cut short, too long, or not one object."""
    if not line.endswith(b"\n"):
        raise ValueError("a line that does not end" if len(line) <= MAXIMUM_LINE_BYTES else "a line that is too long")
    message = json.loads(line)
    if not isinstance(message, dict):
        raise ValueError("a line that is not an object")
    return message
