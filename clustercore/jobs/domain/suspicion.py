"""Which of the pieces in hand may be to blame when a worker process died."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class InHand:
    """What a worker process last noted of itself."""

    memory_kills: int | None
    """How often the machine had killed a process for want of memory; None where it does not tell."""
    resident_mb: Mapping[UUID, int]
    """Key of each attempt in hand to the memory of the engine runner that works on it; 0 while none does."""


def suspects(noted: InHand | None, memory_kills: int | None) -> frozenset[UUID] | None:
    """Keys of the attempts that may have ended the process; None when nothing is known, so that all may have.

    If memory ran out since the note, only the piece that used most of it is suspected; one that no engine had begun
    never is. `memory_kills` is the machine's count now.
    """
    if noted is None or noted.memory_kills is None or memory_kills is None or memory_kills <= noted.memory_kills:
        return None
    worked_on = {key: size for key, size in noted.resident_mb.items() if size > 0}
    return frozenset({max(worked_on, key=worked_on.__getitem__)}) if worked_on else frozenset()
