"""What files are called when people take them away."""

from __future__ import annotations

import re
import unicodedata

LONGEST_STEM_BYTES = 180
_ENDING = re.compile(r"\.[A-Za-z0-9]{1,8}$")
_UNSAFE = frozenset('/\\:*?"<>|')


def download_name(recording_name: str, ending: str = "") -> str:
    """The recording's name as a file name that every system takes, with another ending if one is given."""
    flat = "".join(character if _is_safe(character) else " " for character in recording_name)
    found = _ENDING.search(flat)
    stem = flat[: found.start()] if found else flat
    kept = " ".join(stem.encode()[:LONGEST_STEM_BYTES].decode(errors="ignore").split()).strip(" .-")
    own = found.group().lstrip(".") if found else ""
    return ".".join(part for part in (kept or "transcript", ending or own) if part)


def _is_safe(character: str) -> bool:
    # Controls, and the marks that turn the direction of what follows, could make one name look like another.
    return character not in _UNSAFE and unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
