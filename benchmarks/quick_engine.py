"""An engine for benchmarks that hears the same word in everything, at once; what it costs is what the cluster costs."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from clustercore.nodes.domain.engine import JsonObject, Loaded, ModelRecord, Report
from transcription.adapters.flac import read_flac
from transcription.domain.sampling import SAMPLE_RATE


class Quick:
    """A plug-in, named in `CLUSTERCORE_ENGINES` as any other."""

    name: ClassVar[str] = "quick"
    capability: ClassVar[str] = "stt"

    def inventory(self, models_directory: Path) -> list[ModelRecord]:  # noqa: ARG002
        """One model, of every language."""
        return [ModelRecord(capability=self.capability, engine=self.name, model="word", memory_mb=16)]

    def load(self, model: str, models_directory: Path) -> Loaded:  # noqa: ARG002
        """Nothing to load."""
        return Loaded(device="cpu")

    def run(self, request: JsonObject, report: Report) -> JsonObject:  # noqa: ARG002
        """One segment as long as the piece."""
        seconds = len(read_flac(Path(request["path"]))) / SAMPLE_RATE
        segment = {"start": 0.0, "end": seconds, "text": "word", "words": [], "speaker": ""}
        return {"segments": [segment], "language": request.get("language") or "en", "seconds_of_audio": seconds,
                "device": "cpu"}  # fmt: skip
