"""PocketSphinx: the last rung. Its wheel carries an English model, so it works with nothing downloaded.

It holds the GIL while it decodes, hears English only and is rough; it reports progress after every utterance,
and an utterance is at most a few seconds long.
"""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from clustercore.nodes.domain.engine import EngineFailure, JsonObject, Loaded, ModelRecord, Report
from transcription.adapters.engines.audio import Samples, read_samples, seconds_of
from transcription.adapters.engines.speech_regions import Region, speech_regions
from transcription.domain.sampling import SAMPLE_RATE
from transcription.domain.traits import WORD_TIMES, language_trait

MODEL = "en-us"
FRAMES_PER_SECOND = 100
_ALTERNATIVE = re.compile(r"\(\d+\)$")
_NO_WORD = ("<", "[", "+")


class PocketSphinx:
    """The engine; one instance per process, one request at a time."""

    name: ClassVar[str] = "pocketsphinx"
    capability: ClassVar[str] = "stt"

    def __init__(self) -> None:
        self._decoder: Any = None

    def inventory(self, models_directory: Path) -> list[ModelRecord]:  # noqa: ARG002
        """One record: the model inside the wheel. Nothing is read from `models_directory`."""
        missing = find_spec("pocketsphinx") is None
        return [
            ModelRecord(
                capability=self.capability,
                engine=self.name,
                model=MODEL,
                traits=(WORD_TIMES, language_trait("en")),
                memory_mb=150,
                usable=not missing,
                reason="pocketsphinx is not installed; type: pip install pocketsphinx" if missing else "",
            )
        ]

    def load(self, model: str, models_directory: Path) -> Loaded:  # noqa: ARG002
        """Half a second. Raises EngineFailure `engine_missing`, `model_missing` or `model_corrupt`."""
        if model != MODEL:
            raise EngineFailure("model_missing", f"pocketsphinx has no model {model!r}; it has {MODEL!r} only")
        try:
            import pocketsphinx
        except ImportError as error:
            message = f"pocketsphinx cannot be imported ({error}); type: pip install pocketsphinx"
            raise EngineFailure("engine_missing", message) from error
        try:
            self._decoder = pocketsphinx.Decoder(samprate=SAMPLE_RATE, loglevel="FATAL")
        except (RuntimeError, ValueError) as error:
            message = (
                f"pocketsphinx's own model does not load ({error}); type: pip install --force-reinstall pocketsphinx"
            )
            raise EngineFailure("model_corrupt", message) from error
        return Loaded(device="cpu", note="PocketSphinx is a rough recogniser: expect one word in ten wrong, or more")

    def run(self, request: JsonObject, report: Report) -> JsonObject:
        """Transcribe one piece; the response is described in docs/architecture.md.

        Raises EngineFailure `language_not_supported`, `media_missing`, `media_unreadable` or `not_loaded`.
        """
        if self._decoder is None:
            raise EngineFailure("not_loaded", "load a model before running a request")
        refuse_other_languages(request.get("language"))
        samples = read_samples(str(request["path"]))
        response = {"segments": [], "language": "en", "seconds_of_audio": seconds_of(samples), "device": "cpu"}
        if request.get("detect_only"):
            return response
        # What was learnt about the last request's noise would make the same audio read differently the second time.
        self._decoder.reinit_feat()
        segments = []
        for region in speech_regions(samples):
            segments += self._segment(samples, region, with_words=bool(request.get("words", True)))
            report(region.end / len(samples))
        report(1.0)
        return {**response, "segments": segments}

    def _segment(self, samples: Samples, region: Region, *, with_words: bool) -> list[dict[str, Any]]:
        self._decoder.start_utt()
        # The whole utterance at once: its means are then its own, which is worth a third of the errors.
        self._decoder.process_raw(samples[region.start : region.end].tobytes(), full_utt=True)
        self._decoder.end_utt()
        words = self._words(region.start / SAMPLE_RATE)
        if not words:
            return []
        text = " ".join(word["word"] for word in words)
        start, end = words[0]["start"], words[-1]["end"]
        return [{"start": start, "end": end, "text": text, "words": words if with_words else []}]

    def _words(self, offset: float) -> list[dict[str, Any]]:
        return [
            {
                "word": _ALTERNATIVE.sub("", heard.word),
                "start": round(offset + heard.start_frame / FRAMES_PER_SECOND, 3),
                "end": round(offset + (heard.end_frame + 1) / FRAMES_PER_SECOND, 3),
                "probability": round(min(1.0, max(0.0, heard.prob)), 4),
            }
            for heard in self._decoder.seg()
            if not heard.word.startswith(_NO_WORD)
        ]


def refuse_other_languages(language: object) -> None:
    """Raises EngineFailure `language_not_supported` for anything but English or nothing said."""
    if language is None or str(language).lower().split("-")[0] == "en":
        return
    message = (
        f"pocketsphinx hears English only, not {str(language)!r}; this language needs a faster-whisper model: "
        "clustercore models pull faster-whisper:small"
    )
    raise EngineFailure("language_not_supported", message)
