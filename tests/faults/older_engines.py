"""The tests' engines as the version before knew engines: with columns for languages, and no traits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from clustercore.nodes.domain.engine import ModelRecord
from tests.fakes.transcription.engines.oracle import Oracle
from tests.faults.puppet import Puppet

LADDER = "CLUSTERCORE_STT_LADDER"
"""The setting that had the order of its models."""


class OlderOracle(Oracle):
    """Hears every language."""

    def inventory(self, models_directory: Path) -> list[ModelRecord]:
        """Returns its one model."""
        return [older_record(self.capability, self.name)]


class OlderPuppet(Puppet):
    """Hears every language, as badly as it is told."""

    def inventory(self, models_directory: Path) -> list[ModelRecord]:
        """Returns its one model."""
        return [older_record(self.capability, self.name)]


def older_record(capability: str, engine: str) -> ModelRecord:
    """Makes a record of the class that the version before has."""
    fields: dict[str, Any] = {"memory_mb": 64, "detects_language": True, "word_timestamps": True}
    return ModelRecord(capability=capability, engine=engine, model="tones", **fields)
