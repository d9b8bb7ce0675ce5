"""Files that go with a unit's result: what the unit keeps of each, and how they may be called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

LONGEST_NAME = 200
_NOT_IN_NAMES = frozenset("/\\\x00")


class BadResultFile(ValueError):
    """A handler handed over what cannot be kept; the message says which file, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultFile:
    """What is known of a file besides its name; its bytes are the blob of this hash."""

    sha256: str
    size: int
    media_type: str


Files = Mapping[str, ResultFile]
"""By the names that the handler gave them."""


def check_name(name: str) -> None:
    """Raises BadResultFile for a name that is no single part of an address."""
    if not 0 < len(name) <= LONGEST_NAME or _NOT_IN_NAMES & set(name) or name in (".", ".."):
        raise BadResultFile(f"{name[:LONGEST_NAME]!r} is no name for a file of a result: use a plain one, as page.png")


def files_to_json(files: Files) -> dict[str, Any]:
    """As the unit and the spool keep them."""
    return {name: asdict(file) for name, file in files.items()}


def files_from_json(documents: Mapping[str, Any]) -> dict[str, ResultFile]:
    """What `files_to_json` wrote. Raises TypeError for anything else."""
    return {name: ResultFile(**document) for name, document in documents.items()}
