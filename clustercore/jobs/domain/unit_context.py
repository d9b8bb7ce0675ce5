"""What a handler gets of its unit, what it may do for it, and how it is told that it cannot go on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from clustercore.jobs.domain.new_unit import NewUnit
from clustercore.jobs.domain.questions import Answer


class UnitContext(Protocol):
    """What a unit handler gets. Handlers run in a worker's slot (a thread) and may wait."""

    @property
    def job_id(self) -> int: ...
    @property
    def unit_id(self) -> int: ...
    @property
    def attempt_id(self) -> int: ...
    @property
    def node_id(self) -> int: ...
    @property
    def node_name(self) -> str: ...
    @property
    def engine(self) -> str:
        """The engine the user insists on; empty when the tiers decide."""
        ...

    @property
    def model(self) -> str: ...
    @property
    def served_by(self) -> dict[str, Any]:
        """How it was done, kept with the attempt: `call_engine` notes the engine, and the handler what it likes."""
        ...

    @property
    def kind(self) -> str:
        """The kind of its job."""
        ...

    @property
    def capability(self) -> str:
        """What its stage asks of a node."""
        ...

    @property
    def ordinal(self) -> int: ...
    @property
    def payload(self) -> Mapping[str, Any]: ...
    @property
    def parameters(self) -> Mapping[str, Any]:
        """The job's parameters, as submitted and validated."""
        ...

    @property
    def language(self) -> str | None:
        """The job's language: one code for the whole job, or None while undecided."""
        ...

    @property
    def needs(self) -> Sequence[str]:
        """The traits that a model must have for this unit: the job's and its own."""
        ...

    @property
    def prefers(self) -> Sequence[str]:
        """The traits that it must have too, unless no live node offers them."""
        ...

    @property
    def minimum_rung(self) -> int:
        """The lowest rung that may serve this unit."""
        ...

    @property
    def answer(self) -> Answer | None:
        """What a person chose when this unit last asked (`Ask`); None where it did not, or nobody answered.

        It is an approval of what `bound_to` is the hash of, and of nothing else.
        """
        ...

    @property
    def workspace(self) -> Path:
        """A directory of this attempt's own, removed when it ends."""
        ...

    def report(self, fraction: float, note: str = "") -> None:
        """Says that work goes on: the lease is extended only while this is called. Raises LeaseLost."""
        ...

    def queue(self, units: Sequence[NewUnit]) -> list[int]:
        """Queues units of a later stage while this attempt is live; known ordinals are left alone. Raises LeaseLost.

        Many are queued some hundred at a time: those before an error stay. Returns the ids of the new ones in order.
        """
        ...

    def fetch(self, sha256: str) -> Path:
        """Where a blob's bytes lie on this machine, fetched first if need be; one of the unit's own (`NewUnit.blobs`).

        Raises BlobError, UndeclaredBlob.
        """
        ...

    def call_engine(
        self,
        engine: str,
        model: str,
        request: Mapping[str, Any],
        on_event: Callable[[Mapping[str, Any]], None] | None = None,
    ) -> Mapping[str, Any]:
        """One request to an engine runner on this node; its progress is this unit's progress.

        Raises EngineFailure (expected), RunnerDied (it crashed or was killed), LeaseLost.
        """
        ...


class LeaseLost(Exception):
    """This attempt no longer counts (expired, cancelled or superseded): drop the work, write nothing."""


class NoModelServes(Exception):
    """None of this node's models did what a unit asked for; another node may."""


class UndeclaredBlob(LookupError):
    """A handler asked for a blob that its unit does not refer to: name it in `NewUnit.blobs` or `JobRequest.blobs`."""
