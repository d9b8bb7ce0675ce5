"""The note of what a worker has in hand, on disk, for the process that starts after it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from uuid import UUID

from clustercore.jobs.domain.suspicion import InHand


def note_in_hand(path: Path, memory_kills: int | None, resident_mb: Mapping[UUID, int]) -> None:
    """Replaces the note. It outlives the process, not the machine: nothing asks for more. Raises OSError."""
    content = {"memory_kills": memory_kills, "resident_mb": {str(key): size for key, size in resident_mb.items()}}
    beside = path.with_suffix(".writing")
    beside.write_text(json.dumps(content), encoding="ascii")
    beside.replace(path)


def noted_in_hand(path: Path) -> InHand | None:
    """What the process before noted; None when there is nothing that can be read."""
    try:
        content = json.loads(path.read_text(encoding="ascii"))
        sizes = {UUID(key): int(size) for key, size in content["resident_mb"].items()}
        return InHand(memory_kills=content["memory_kills"], resident_mb=sizes)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
