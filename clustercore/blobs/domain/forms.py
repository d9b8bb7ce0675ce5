"""Which addresses take a file in a form: the rooms above register theirs, and what one must be allowed there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from clustercore.access.domain.roles import Permission

MOST_PARTS = 100
MOST_FIELD_BYTES = 512 << 10
"""Of everything in a form that is no file."""

_ADDRESSES: dict[str, Permission] = {}
# RFC 7578 wants quotes; a name without them ends at the next semicolon.
_PARAMETER = re.compile(r';\s*(name|filename)=(?:"((?:\\.|[^"\\])*)"|([^;\s]*))', re.IGNORECASE)


class BrokenForm(ValueError):
    """A form that cannot be read; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a form by its headers; `file_name` is None for a plain field."""

    name: str
    file_name: str | None
    media_type: str


def take_files_at(path: str, permission: Permission) -> None:
    """From now on a form that is posted there may bring one file, if the sender has this permission."""
    _ADDRESSES[path] = permission


def permission_at(path: str) -> Permission | None:
    """What one must be allowed to send a file there; None where no files are taken."""
    return _ADDRESSES.get(path)


def part_of(headers: Mapping[str, str]) -> Part:
    """What a part is, by its headers (lower-case names). Raises BrokenForm."""
    disposition = headers.get("content-disposition", "")
    found = {match[1].lower(): _text(match) for match in _PARAMETER.finditer(disposition)}
    if "name" not in found:
        raise BrokenForm("a part of the form has no name in its Content-Disposition")
    return Part(found["name"], found.get("filename"), headers.get("content-type", "")[:100])


def _text(match: re.Match[str]) -> str:
    quoted = match[2]
    return match[3] if quoted is None else re.sub(r'\\(["\\])', r"\1", quoted)
