"""What a user asks for, as the ledger takes it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from typing import Any

from clustercore.access.domain.errors import Invalid


class InvalidRequest(Invalid):
    """A field that cannot be right. `field` names it, the message says what to give instead."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}", field=field)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """What a user asked for, validated by its kind."""

    kind: str
    title: str
    """What the job is called; empty: `fallback_title`, which does not make it another request."""
    fallback_title: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    payload: Mapping[str, Any] = field(default_factory=dict)
    """The first stage's payload."""
    blobs: Sequence[str] = ()
    """The blobs that the first stage needs, by their SHA-256."""
    language: str | None = None
    needs: Sequence[str] | None = ()
    """The traits that every model must have which serves its ranked units; None while they are not known."""
    priority: int = 0
    min_rung: int | None = None
    accept_lower_after: float | None = None
    critical_accuracy: bool = False
    engine: str = ""
    model: str = ""
    idempotency_key: str | None = None
    owner_id: int | None = None
    """Who asked; None for the command line."""
    parent_id: int | None = None
    """The job for which this one is done; cancelling that cancels this."""

    def about(self, blob: str) -> JobRequest:
        """Returns the same request about a file, which the first stage needs: `parameters["blob"]` is its SHA-256."""
        return replace(self, parameters={**self.parameters, "blob": blob}, blobs=[blob])

    def digest(self) -> str:
        """The same for two requests that ask for the same, whoever asks and by whichever key."""
        # What is as by default is left out, so that a field that comes later changes no digest of before.
        given = {one.name: (getattr(self, one.name), _default_of(one)) for one in fields(self)}
        asked = {name: value for name, (value, default) in given.items() if name not in _NOT_ASKED and value != default}
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def _default_of(one: Field[Any]) -> Any:
    return one.default if one.default_factory is MISSING else one.default_factory()


# What it needs follows from the rest.
_NOT_ASKED = ("fallback_title", "needs", "idempotency_key", "owner_id", "parent_id")
