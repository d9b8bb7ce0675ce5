"""The engine that cuts recordings into pieces: decoding beside the transcribing, in one pass and little memory."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

from clustercore.nodes.domain.engine import EngineFailure, JsonObject, Loaded, ModelRecord, Report


class MediaCutter:
    """Cuts a recording at its pauses into 16 kHz mono FLAC files and reports each as soon as it is on the disk."""

    name: ClassVar[str] = "media"
    capability: ClassVar[str] = "media"

    def inventory(self, models_directory: Path) -> list[ModelRecord]:  # noqa: ARG002
        """One model, PyAV itself."""
        missing = find_spec("av") is None
        return [
            ModelRecord(
                capability=self.capability,
                engine=self.name,
                model="pyav",
                memory_mb=120,
                usable=not missing,
                reason="PyAV is missing: pip install av" if missing else "",
            )
        ]

    def load(self, model: str, models_directory: Path) -> Loaded:  # noqa: ARG002
        """Check that the decoder can be imported. Raises EngineFailure `engine_unavailable`."""
        try:
            import av
        except ImportError as error:
            raise EngineFailure("engine_unavailable", f"PyAV cannot be imported ({error}): pip install av") from error
        return Loaded(device="cpu", details={"pyav": av.__version__})

    def run(self, request: JsonObject, report: Report) -> JsonObject:
        """Cut one recording; request, events and result as in the architecture's contract.

        The result also has `notes`: sentences on what had to be mended. Raises MediaError, or EngineFailure
        `bad_request` for impossible sizes.
        """
        from transcription.adapters.cutting import CutOrder, cut_recording

        return cut_recording(CutOrder.from_request(request), report)
