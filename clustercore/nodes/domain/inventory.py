"""What a machine can do, as its engine plug-ins told it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from clustercore.nodes.domain.engine import ModelRecord
from clustercore.nodes.domain.queues import ANY


@dataclass(frozen=True, slots=True)
class TieredModel:
    """A model and the tier it stands on; a higher one is better, and -1 is none."""

    record: ModelRecord
    rung: int

    @property
    def label(self) -> str:
        """Returns `engine:model`."""
        return f"{self.record.engine}:{self.record.model}"


@dataclass(frozen=True, slots=True)
class Inventory:
    """All models of a machine, usable or not; `plugins` maps an engine's name to its dotted path."""

    models: tuple[TieredModel, ...] = ()
    plugins: Mapping[str, str] = field(default_factory=dict)

    def capabilities(self) -> tuple[str, ...]:
        """Returns the capabilities that at least one usable model serves, and the one that needs none, sorted."""
        return tuple(sorted({ANY, *(model.record.capability for model in self.models if model.record.usable)}))

    def usable(self) -> tuple[ModelRecord, ...]:
        """The models that can be served now."""
        return tuple(model.record for model in self.models if model.record.usable)

    def memory_mb(self, engine: str, model: str) -> int:
        """What `engine:model` says it takes; 0 when unknown."""
        needs = (m.record.memory_mb for m in self.models if (m.record.engine, m.record.model) == (engine, model))
        return max(needs, default=0)
