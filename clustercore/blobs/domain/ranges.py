"""The `Range` header of HTTP (RFC 9110, section 14), for one range of bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ONE_RANGE = re.compile(r"bytes=\s*(\d{0,18})-(\d{0,18})\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes `start` to `end`, both included."""

    start: int
    end: int

    @property
    def length(self) -> int:
        return self.end - self.start + 1

    def content_range(self, size: int) -> str:
        """The `Content-Range` header of a 206 answer."""
        return f"bytes {self.start}-{self.end}/{size}"


class RangeNotSatisfiable(Exception):
    """The range lies outside of the bytes there are: a 416."""


def parse_range(header: str | None, size: int) -> ByteRange | None:
    """The range asked for, or None for the whole (no header, several ranges, or nothing we understand).

    Raises RangeNotSatisfiable.
    """
    match = _ONE_RANGE.fullmatch(header.strip()) if header else None
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if first == "":
        return _suffix(int(last), size)
    return _from_start(int(first), int(last) if last else None, size)


def _suffix(length: int, size: int) -> ByteRange:
    if length == 0 or size == 0:
        raise RangeNotSatisfiable
    return ByteRange(max(size - length, 0), size - 1)


def _from_start(first: int, last: int | None, size: int) -> ByteRange | None:
    if last is not None and last < first:
        return None
    if first >= size:
        raise RangeNotSatisfiable
    return ByteRange(first, size - 1 if last is None else min(last, size - 1))
