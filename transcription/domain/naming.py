"""What files are called when people take them away."""

from __future__ import annotations

import re
import unicodedata

LONGEST_STEM_BYTES = 180
_MEDIA = """
    3gp aac ac3 aif aifc aiff amr ape asf au avi awb caf f4v flac flv m2ts m4a m4b m4v mka mkv mov mp2 mp3 mp4 mpeg mpg
    mpga mts mxf oga ogg ogv opus ra rm rmvb spx ts tta vob w64 wav webm wma wmv wv
"""
MEDIA_ENDINGS = frozenset(_MEDIA.split())
TEXT_ENDINGS = frozenset({"txt", "srt", "vtt", "tsv", "json"})
_DEVICES = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9\u00b9\u00b2\u00b3])\s*(?=\.|$)", re.IGNORECASE)
"""What Windows takes for a device, whatever ending follows (Naming Files, Paths, and Namespaces)."""
_UNSAFE = frozenset('/\\:*?"<>|')
_JOINERS = frozenset("\u200c\u200d")
_HIDDEN = re.compile(r"\s*\.\w")


def stem_and_ending(name: str) -> tuple[str, str]:
    """Returns a name without the ending of a recording or of a text, and that ending.

    What follows another dot is part of the name: `Interview 12.03.2024` and `v1.2` have no ending.
    """
    stem, _, ending = name.rpartition(".")
    return (stem, ending) if stem and ending.lower() in MEDIA_ENDINGS | TEXT_ENDINGS else (name, "")


def download_name(recording_name: str, ending: str = "") -> str:
    """Returns the recording's name as a file name that every system takes, with another ending if one is given."""
    stem, own = stem_and_ending(safe_name(recording_name))
    kept = stem.encode()[:LONGEST_STEM_BYTES].decode(errors="ignore").rstrip(" .")
    return ".".join(part for part in (kept or "transcript", ending or own) if part)


def safe_name(name: str) -> str:
    """Returns a name without what file systems refuse; empty where nothing is left. A hidden file keeps its dot, and
    what would be a device on Windows gets an underscore."""
    flat = "".join(character if _is_safe(character) else " " for character in name)
    kept = " ".join(flat.split()).strip(" .-")
    if kept and _HIDDEN.match(flat):
        return f".{kept}"
    return _DEVICES.sub(r"\1_", kept, count=1) if _DEVICES.match(kept) else kept


def _is_safe(character: str) -> bool:
    # Controls, and the marks that turn the direction of what follows, could make one name look like another.
    if character in _JOINERS:
        return True
    return character not in _UNSAFE and unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
