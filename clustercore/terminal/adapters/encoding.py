"""Writing to terminals, files and pipes whose encoding does not know every character (`LANG=C`, cp1252 on Windows)."""

from __future__ import annotations

import codecs
import json
import re
import sys
import unicodedata
from typing import Any, TextIO

IN_PLAIN_LETTERS = "clustercore.plain"
_PLAIN = {
    "✔": "+", "✘": "x", "…": "...", "–": "-", "—": "-", "×": "x", "→": "->", "•": "*", "·": "-",  # noqa: RUF001
    "‘": "'", "’": "'", "“": '"', "”": '"', "─": "-", "━": "-", "│": "|", "\u00a0": " ", "\u202f": " ",  # noqa: RUF001
}  # fmt: skip
"""What the commands themselves print, as a typewriter would."""

_UNPRINTED = re.compile(r"[\x7f-\x9f\ud800-\udfff]")
"""Controls that JSON need not escape but terminals obey, and halves of characters, which UTF-8 cannot write."""


def write_anything() -> None:
    """Lets standard output and error take every text: what their encoding lacks is written in plain letters.

    Python would raise UnicodeEncodeError, in the middle of a command that has done its work.
    """
    codecs.register_error(IN_PLAIN_LETTERS, in_plain_letters)
    for stream in (sys.stdout, sys.stderr):
        # A stream that somebody put in its place takes text as it likes.
        if (reconfigure := getattr(stream, "reconfigure", None)) is not None:
            reconfigure(errors=IN_PLAIN_LETTERS)


def in_plain_letters(error: UnicodeError) -> tuple[str, int]:
    """Returns ASCII for what could not be encoded, and where to go on; an error handler of `codecs`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_plain, error.object[error.start : error.end])), error.end


def _plain(character: str) -> str:
    if character in _PLAIN:
        return _PLAIN[character]
    decomposed = unicodedata.normalize("NFKD", character)
    letters = "".join(part for part in decomposed if part.isascii())
    return letters if letters.isprintable() and letters else "" if unicodedata.combining(character) else "?"


def json_for(stream: TextIO, value: Any, indent: int | None = None) -> str:
    """Returns a value as JSON that a stream can write with every character of its texts: escaped where its encoding
    is not UTF-8, and where a terminal would obey them.

    Whatever JSON does not know becomes text.
    """
    unicode = (stream.encoding or "").lower().replace("-", "").replace("_", "").startswith("utf8")
    text = json.dumps(value, ensure_ascii=not unicode, indent=indent, default=str)
    return _UNPRINTED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
