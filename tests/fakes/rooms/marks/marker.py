"""An engine that marks paragraphs, with a large model that gives up at a long word and a small one that does not."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from clustercore.nodes.domain.engine import EngineFailure, JsonObject, Loaded, ModelRecord, Report

LONG_WORD = 12


class Marker:
    """Marks by how few words there are."""

    name: ClassVar[str] = "marker"
    capability: ClassVar[str] = "mark"

    def inventory(self, models_directory: Path) -> list[ModelRecord]:
        return [ModelRecord(capability="mark", engine="marker", model=model) for model in ("large", "small")]

    def load(self, model: str, models_directory: Path) -> Loaded:
        self.model = model
        return Loaded("cpu")

    def run(self, request: JsonObject, report: Report) -> JsonObject:
        words = request["text"].split()
        if self.model == "large" and max(map(len, words)) >= LONG_WORD:
            raise EngineFailure("too_long", "a word is too long")
        return {"mark": max(0, request["highest"] - len(words) + 1), "device": "cpu"}
