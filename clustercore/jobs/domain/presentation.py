"""How a kind of job shows itself to people and programs; each kind registers its own, as it does its stages.

A kind that registers none is shown all the same: its result as JSON, on its page and in the API.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clustercore.access.domain.roles import Permission
from clustercore.jobs.domain.kinds import kinds, outline_of

Facts = Mapping[str, Any]
"""What only this kind knows of a job: plain JSON values."""

RESULT_SERIALIZER = "clustercore.jobs.api.serializers:ResultSerializer"
RESULT_FRAGMENT = "jobs/includes/result.html"


@dataclass(frozen=True, slots=True, kw_only=True)
class Presentation:
    """One kind's serializer, page fragment and permissions; all but its name has a default.

    Raises ValueError for facts that nothing describes, or that nothing shows.
    """

    kind: str
    noun: str = ""
    """What a person calls one, with a capital: `Transcription`. By default as the kind says."""
    facts: Callable[[Sequence[int]], Mapping[int, Facts]] | None = None
    """Extra fields by job id, for a page of jobs at once: a fixed number of queries. By default the job's result."""
    serializer: str = RESULT_SERIALIZER
    """`package.module:Class`, a DRF serializer that describes `facts` in the API's schema."""
    fragment: str = RESULT_FRAGMENT
    """Template of the kind's part of the job page; it gets `job` (JobProgress) and `facts`."""
    result_url: Callable[[int], str] | None = None
    """Where a person reads the result of a job that is done; by default on the job's own page."""
    new_url: Callable[[], str] | None = None
    """Where a person starts one; `?from=ID` takes over another job's settings. By default a form is made from what the
    kind says may be asked."""
    action: str = ""
    """What the button says that starts one: `Transcribe`."""
    submit_permission: Permission = Permission.SUBMIT

    def __post_init__(self) -> None:
        if self.facts is not None and self.serializer == RESULT_SERIALIZER:
            raise ValueError(f"the facts of {self.kind!r} have no serializer: name one as package.module:Class")
        if self.facts is not None and self.fragment == RESULT_FRAGMENT:
            raise ValueError(f"the facts of {self.kind!r} have no fragment: name a template that shows them")


_PRESENTATIONS: dict[str, Presentation] = {}


def present(presentation: Presentation) -> None:
    """Makes a kind's presentation known. Raises ValueError for the same kind twice, and for one that is not known."""
    if presentation.kind in _PRESENTATIONS:
        raise ValueError(f"the kind {presentation.kind!r} has a presentation already")
    if outline_of(presentation.kind) is None:
        raise ValueError(f"a presentation is for the kind {presentation.kind!r}, which is not registered")
    _PRESENTATIONS[presentation.kind] = presentation


def presentation_of(kind: str) -> Presentation | None:
    """Returns how a kind shows itself, by default as JSON; None for a kind that this process does not know."""
    known = _PRESENTATIONS.get(kind)
    return known or (Presentation(kind=kind) if outline_of(kind) is not None else None)


def presentations() -> Sequence[Presentation]:
    """Returns those of all kinds that are known, by name."""
    names = sorted({*_PRESENTATIONS, *(kind.name for kind in kinds())})
    return [found for name in names if (found := presentation_of(name)) is not None]
