"""How a kind of job shows itself to people and programs; each kind registers its own, as it does its stages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clustercore.access.domain.roles import Permission

Facts = Mapping[str, Any]
"""What only this kind knows of a job: plain JSON values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Presentation:
    """One kind's serializer, page fragment and permissions."""

    kind: str
    noun: str
    """What a person calls one, with a capital: `Transcription`."""
    facts: Callable[[Sequence[int]], Mapping[int, Facts]]
    """Extra fields by job id, for a page of jobs at once: a fixed number of queries."""
    serializer: str
    """`package.module:Class`, a DRF serializer that describes `facts` in the API's schema."""
    fragment: str
    """Template of the kind's part of the job page; it gets `job` (JobProgress) and `facts`."""
    result_url: Callable[[int], str]
    """Where a person reads the result of a job that is done."""
    new_url: Callable[[], str]
    """Where a person starts one; `?from=ID` takes over another job's settings."""
    submit_permission: Permission = Permission.SUBMIT


_PRESENTATIONS: dict[str, Presentation] = {}


def present(presentation: Presentation) -> None:
    """Makes a kind's presentation known; the same kind twice is a mistake. Raises ValueError."""
    if presentation.kind in _PRESENTATIONS:
        raise ValueError(f"the kind {presentation.kind!r} has a presentation already")
    _PRESENTATIONS[presentation.kind] = presentation


def presentation_of(kind: str) -> Presentation | None:
    """The presentation of a kind; None for a kind that only runs."""
    return _PRESENTATIONS.get(kind)


def presentations() -> Sequence[Presentation]:
    """All of them, by noun."""
    return sorted(_PRESENTATIONS.values(), key=lambda one: one.noun)
