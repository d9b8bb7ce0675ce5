"""Which addresses take a file in a form: the rooms above register theirs, and what one must be allowed there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from email.utils import collapse_rfc2231_value

from clustercore.access.domain.roles import Permission
from clustercore.blobs.domain.errors import BrokenForm

MOST_PARTS = 100
MOST_FIELD_BYTES = 512 << 10
"""Of everything in a form that is no file."""

_ADDRESSES: dict[str, Permission] = {}
_WHATWG_ESCAPES = {"%22": '"', "%0D": " ", "%0A": " "}
"""What browsers write for the characters that would end a quoted name (the form encoding of WHATWG HTML)."""
_CHARSETS = frozenset({"utf-8", "iso-8859-1"})
"""In which RFC 5987 lets a parameter be written."""
_MEDIA = ("audio/", "video/")
FILE_FIELD = "file"


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
    """Returns what a part is, by its headers (lower-case names). Raises BrokenForm.

    A part is a file where it has a file name, also an empty one or one as of RFC 5987 (`filename*`), or where its
    media type says that it is a recording: some programs send no name.
    """
    named = _parameters(headers.get("content-disposition", ""))
    name, file_name = named.get("name"), named.get("filename")
    if name is None:
        raise BrokenForm("a part of the form has no name in its Content-Disposition")
    media_type = headers.get("content-type", "")[:100].lower()
    if file_name is None and media_type.startswith((*_MEDIA, "application/") if name == FILE_FIELD else _MEDIA):
        file_name = ""
    if file_name is None and name == FILE_FIELD:
        raise BrokenForm(
            "file: the part has neither a filename nor the Content-Type of a recording, and would be read as text; "
            'send filename="talk.wav" with it (with curl: -F file=@talk.wav)'
        )
    return Part(name, file_name, media_type)


def _parameters(disposition: str) -> dict[str, str]:
    """The parameters of a Content-Disposition; `name*` as of RFC 5987 goes before `name`. Raises BrokenForm."""
    message = Message()
    message["content-disposition"] = disposition
    try:
        parameters = message.get_params([], "content-disposition")[1:]
    except (TypeError, ValueError) as error:
        # Of parts of a parameter that are numbered twice, half, or with more digits than Python reads.
        raise BrokenForm("a part of the form has a Content-Disposition that cannot be read") from error
    found: dict[str, str] = {}
    extended: dict[str, str] = {}
    for name, value in parameters:
        if isinstance(value, tuple):
            extended.setdefault(name.lower(), _decoded(value))
        else:
            found.setdefault(name.lower(), _unquoted(value))
    return {**found, **extended}


def _decoded(value: tuple[str | None, str | None, str]) -> str:
    charset = (value[0] or "utf-8").lower()
    if charset not in _CHARSETS:
        raise BrokenForm("a part of the form has a name in another charset than UTF-8 and ISO-8859-1")
    return collapse_rfc2231_value((charset, *value[1:]))


def _unquoted(value: str) -> str:
    """A value as it was meant, where its quotes are single ones or the last is missing."""
    if len(value) > 1 and value[0] == value[-1] == "'":
        value = value[1:-1]
    elif value.startswith('"') and not value.endswith('"'):
        value = value[1:]
    for escape, character in _WHATWG_ESCAPES.items():
        value = value.replace(escape, character)
    return value
