"""What a machine can do, as its engine plug-ins told it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from clustercore.nodes.domain.engine import ModelRecord
from clustercore.nodes.domain.queues import ANY


@dataclass(frozen=True, slots=True)
class RankedRecord:
    """A model and the rung it stands on; higher is better."""

    record: ModelRecord
    rung: int


@dataclass(frozen=True, slots=True)
class Inventory:
    """All models of a machine, usable or not; `plugins` maps an engine's name to its dotted path."""

    records: tuple[RankedRecord, ...] = ()
    plugins: Mapping[str, str] = field(default_factory=dict)

    def capabilities(self) -> tuple[str, ...]:
        """Returns the capabilities that at least one usable model serves, and the one that needs none, sorted."""
        return tuple(sorted({ANY, *(ranked.record.capability for ranked in self.records if ranked.record.usable)}))

    def usable(self) -> tuple[ModelRecord, ...]:
        """The models that can be served now."""
        return tuple(ranked.record for ranked in self.records if ranked.record.usable)

    def memory_mb(self, engine: str, model: str) -> int:
        """What `engine:model` says it takes; 0 when unknown."""
        needs = (r.record.memory_mb for r in self.records if (r.record.engine, r.record.model) == (engine, model))
        return max(needs, default=0)
