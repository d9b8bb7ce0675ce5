"""The oracle's cousin, who translates: what it reads as `w00042` it calls `English-00042`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from clustercore.nodes.domain.engine import EngineFailure, JsonObject, ModelRecord, Report
from tests.fakes.transcription.engines.oracle import Oracle


class Interpreter(Oracle):
    """Translates, and does nothing else."""

    name: ClassVar[str] = "interpreter"
    capability: ClassVar[str] = "translate"

    def inventory(self, models_directory: Path) -> list[ModelRecord]:
        """One model, of any language."""
        (record,) = super().inventory(models_directory)
        return [replace(record, capability=self.capability, engine=self.name)]

    def run(self, request: JsonObject, report: Report) -> JsonObject:
        """Translate one piece."""
        if request.get("task") != "translate":
            raise EngineFailure("bad_request", "an interpreter was asked to transcribe")
        heard = super().run(request, report)
        segments = [{**one, "text": one["text"].replace("w", "English-"), "words": []} for one in heard["segments"]]
        return {**heard, "segments": segments}
