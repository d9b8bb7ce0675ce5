"""Vosk: Kaldi models of one language each; small, fast, and streaming, so progress is reported every second of audio.

A prompt is not used: a Vosk model cannot be given one.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from clustercore.nodes.domain.engine import EngineFailure, JsonObject, Loaded, ModelRecord, Report
from transcription.adapters.engines.audio import Samples, read_samples, seconds_of
from transcription.adapters.engines.model_folders import megabytes, model_folder, model_folders
from transcription.domain.language import parse_language
from transcription.domain.sampling import SAMPLE_RATE
from transcription.domain.traits import WORD_TIMES, language_trait
from transcription.domain.transcript import joined

INSTALL = "pip install 'clustercore[vosk]'"
PULL = "clustercore models pull vosk:en-small"
BLOCK = SAMPLE_RATE // 4
_NO_LANGUAGE = frozenset({"vosk", "model", "small", "big", "large", "lgraph", "spk"})


class Vosk:
    """The engine; one instance per process, one request at a time."""

    name: ClassVar[str] = "vosk"
    capability: ClassVar[str] = "stt"

    def __init__(self) -> None:
        self._model: Any = None
        self._recognizer_class: Any = None
        self._language: str | None = None

    def inventory(self, models_directory: Path) -> list[ModelRecord]:
        """One record per folder in `<models_directory>/vosk`; without any, one that says what to type."""
        wheel = "" if find_spec("vosk") else f"vosk is not installed; type: {INSTALL}"
        folders = model_folders(models_directory, self.name)
        if not folders:
            return [self._record("en-small", 0, wheel or f"no Vosk model is here; type: {PULL}")]
        return [self._record(folder.name, megabytes(folder), wheel or _wrong(folder)) for folder in folders]

    def _record(self, model: str, size_mb: int, reason: str) -> ModelRecord:
        language = language_of(model)
        return ModelRecord(
            capability=self.capability,
            engine=self.name,
            model=model,
            traits=(WORD_TIMES, language_trait(language)) if language else (WORD_TIMES,),
            memory_mb=max(300, 3 * size_mb) if size_mb else 0,
            usable=not reason,
            reason=reason,
        )

    def load(self, model: str, models_directory: Path) -> Loaded:
        """A second to a minute. Raises EngineFailure `engine_missing`, `model_missing` or `model_corrupt`."""
        folder = model_folder(models_directory, self.name, model)
        if not folder.is_dir():
            raise EngineFailure("model_missing", f"{folder} does not exist; type: clustercore models pull vosk:{model}")
        if reason := _wrong(folder):
            raise EngineFailure("model_corrupt", reason)
        try:
            import vosk
        except (ImportError, OSError) as error:
            raise EngineFailure("engine_missing", f"vosk cannot be imported ({error}); type: {INSTALL}") from error
        vosk.SetLogLevel(-1)
        try:
            self._model = vosk.Model(model_path=str(folder))
        except Exception as error:  # the wheel raises nothing more precise
            raise EngineFailure("model_corrupt", _does_not_load(folder, str(error))) from error
        self._recognizer_class = vosk.KaldiRecognizer
        self._language = language_of(model)
        return Loaded(device="cpu", details={"language": self._language})

    def run(self, request: JsonObject, report: Report) -> JsonObject:
        """Transcribe one piece; the response is described in docs/architecture.md.

        Raises EngineFailure `not_loaded`, `language_not_supported`, `media_missing`, `media_unreadable` or
        `engine_error`.
        """
        if self._model is None:
            raise EngineFailure("not_loaded", "load a model before running a request")
        self._refuse_other_languages(request.get("language"))
        samples = read_samples(str(request["path"]))
        seconds = seconds_of(samples)
        response: dict[str, Any] = {
            "segments": [],
            "language": self._language,
            "seconds_of_audio": seconds,
            "device": "cpu",
        }
        if request.get("detect_only"):
            return response
        recognizer = self._recognizer_class(self._model, float(SAMPLE_RATE))
        recognizer.SetWords(True)
        utterances = _recognized(recognizer, samples, report)
        segments = [segment_of(utterance, with_words=bool(request.get("words", True))) for utterance in utterances]
        report(1.0)
        return {**response, "segments": segments}

    def _refuse_other_languages(self, language: object) -> None:
        if language is None or self._language is None or str(language) == self._language:
            return
        message = (
            f"the loaded Vosk model hears {self._language!r}, not {str(language)!r}; "
            "for this language type: clustercore models pull faster-whisper:small"
        )
        raise EngineFailure("language_not_supported", message)


def language_of(model: str) -> str | None:
    """From the name that Vosk's models bear: `vosk-model-small-en-us-0.15` and `en-small` are `en`."""
    for part in model.lower().split("-"):
        if part in _NO_LANGUAGE or not part.isalpha():
            continue
        try:
            return parse_language(part)
        except ValueError:
            return None
    return None


def segment_of(result: dict[str, Any], *, with_words: bool) -> dict[str, Any]:
    """One of Vosk's results as the segment of the contract; `result` holds at least one word."""
    words = [
        {
            "word": heard["word"],
            "start": round(heard["start"], 3),
            "end": round(heard["end"], 3),
            "probability": round(heard["conf"], 4),
        }
        for heard in result["result"]
    ]
    ends = {"start": words[0]["start"], "end": words[-1]["end"]}
    # Vosk puts a space between any two words, of scripts without spaces too.
    text = joined(str(word["word"]) for word in words)
    return {**ends, "text": text, "words": words if with_words else []}


def _recognized(recognizer: Any, samples: Samples, report: Report) -> list[dict[str, Any]]:
    results = []
    for block, first in enumerate(range(0, len(samples), BLOCK)):
        try:
            complete = recognizer.AcceptWaveform(samples[first : first + BLOCK].tobytes())
        except Exception as error:  # the wheel raises nothing more precise
            raise EngineFailure("engine_error", f"vosk failed at {first / SAMPLE_RATE:.1f} s: {error}") from error
        if complete:
            results.append(json.loads(recognizer.Result()))
        if block % 4 == 3:
            report(min(0.99, (first + BLOCK) / len(samples)))
    results.append(json.loads(recognizer.FinalResult()))
    return [result for result in results if result.get("result")]


def _wrong(folder: Path) -> str:
    if not (any((folder / name).is_file() for name in ("am/final.mdl", "final.mdl"))):
        return f"{folder} holds no Vosk model (no am/final.mdl); type: clustercore models pull vosk:{folder.name}"
    if language_of(folder.name) is None:
        return f"{folder.name} does not tell its language; name the folder like en-small or vosk-model-small-de-0.15"
    return ""


def _does_not_load(folder: Path, error: str) -> str:
    label = f"vosk:{folder.name}"
    return (
        f"the model in {folder} does not load ({error}); type: "
        f"clustercore models rm {label} && clustercore models pull {label}"
    )
