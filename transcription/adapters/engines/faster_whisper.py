"""faster-whisper: Whisper on CTranslate2, on a GPU where there is one.

Progress is what the model did, never a clock: a report follows every encoded window, every decoding of it, every
alignment of words and every segment. A window is 30 s of audio, so on a slow machine with a large model reports may
lie a minute apart; a smaller model is the remedy.

Decoding is deterministic: where Whisper would roll dice after a poor first try, the second try here forbids repetition
instead (see `WatchedModel`).

A model's folder may hold `clustercore.json` with `beam_size`, `maximum_tokens` (per window) and `compute_type`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from clustercore.nodes.domain.engine import EngineFailure, JsonObject, Loaded, ModelRecord, Report
from transcription.adapters.engines.audio import Samples, read_samples, seconds_of
from transcription.adapters.engines.model_folders import megabytes, model_folder, model_folders
from transcription.adapters.engines.speech_regions import speech_regions
from transcription.domain.traits import ANY_LANGUAGE, DETECTS_LANGUAGE, WORD_TIMES, language_trait
from transcription.domain.transcript import is_unspaced

DETECTION_WINDOWS = 3
"""Windows of 30 s heard, at most, until one of them is sure of its language."""
TRANSLATE = "translate"
"""The capability of turning speech of any language into English text: a second record of the models that learned it."""
NEEDED = ("config.json", "model.bin", "tokenizer.json")
PULL = "clustercore models pull faster-whisper:small"
INSTALL = "pip install 'clustercore[faster-whisper]'"
WORKING_MB = 950
"""Beside the weights: ten minutes of audio through voice detection and features (seen with a model of `tiny` shape)."""
# Lower than the detector's own threshold: a doubtful second costs time, a dropped word cannot be had back. The padding
# keeps what lies at the edge of a piece, where speech may begin with the first sample.
VOICE_DETECTION = {"threshold": 0.35, "min_silence_duration_ms": 1500, "speech_pad_ms": 400}


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """What a model's own `clustercore.json` may say."""

    beam_size: int = 5
    maximum_tokens: int | None = None
    compute_type: str | None = None


class FasterWhisper:
    """The engine; one instance per process, one request at a time."""

    name: ClassVar[str] = "faster-whisper"
    capability: ClassVar[str] = "stt"

    def __init__(self) -> None:
        self._model: Any = None
        self._watched: WatchedModel | None = None
        self._settings = ModelSettings()
        self._device = ""
        self._vad: Any = None
        self._voice_detection: Any = None

    def inventory(self, models_directory: Path) -> list[ModelRecord]:
        """One record per folder in `<models_directory>/faster-whisper`; without any, one that says what to type."""
        wheel = "" if find_spec("faster_whisper") else f"faster-whisper is not installed; type: {INSTALL}"
        folders = model_folders(models_directory, self.name)
        if not folders:
            return [_record("small", 0, wheel or f"no faster-whisper model is here; type: {PULL}")]
        records = [_record(folder.name, megabytes(folder), wheel or _missing(folder)) for folder in folders]
        return [
            *records,
            *(replace(one, capability=TRANSLATE) for one in records if one.usable and translates(one.model)),
        ]

    def load(self, model: str, models_directory: Path) -> Loaded:
        """Seconds to a minute. Raises EngineFailure `engine_missing`, `model_missing` or `model_corrupt`."""
        folder = model_folder(models_directory, self.name, model)
        if not folder.is_dir():
            message = f"{folder} does not exist; type: clustercore models pull faster-whisper:{model}"
            raise EngineFailure("model_missing", message)
        if reason := _missing(folder):
            raise EngineFailure("model_corrupt", reason)
        self._settings = read_settings(folder)
        loaded = self._open(folder)
        self._device = loaded.device
        self._watched = WatchedModel(self._model.model)
        self._model.model = self._watched
        return loaded

    def _open(self, folder: Path) -> Loaded:
        try:
            import ctranslate2
            import faster_whisper
        except (ImportError, OSError) as error:
            message = f"faster-whisper cannot be imported ({error}); type: {INSTALL}"
            raise EngineFailure("engine_missing", message) from error
        note = ""
        for device, compute_type in _devices(ctranslate2.get_cuda_device_count(), self._settings.compute_type):
            try:
                # Threads are not given: the engine runner has told OpenMP how many of them are this host's share.
                self._model = faster_whisper.WhisperModel(
                    str(folder), device=device, compute_type=compute_type, local_files_only=True
                )
            except Exception as error:  # the runtime raises RuntimeError, the tokenizer a bare Exception
                if device == "cpu":
                    raise EngineFailure("model_corrupt", _does_not_load(folder, error)) from error
                note = f"the GPU could not be used ({error}); running on the processor"
            else:
                self._vad = faster_whisper.vad
                self._voice_detection = self._vad.VadOptions(**VOICE_DETECTION)
                return Loaded(device=device, note=note, details={"compute_type": compute_type})
        raise EngineFailure("model_corrupt", _does_not_load(folder, RuntimeError("no device")))

    def run(self, request: JsonObject, report: Report) -> JsonObject:
        """Transcribe one piece; the response is described in docs/architecture.md.

        Raises EngineFailure `not_loaded`, `language_not_supported`, `translation_not_supported`, `media_missing`,
        `media_unreadable`, `out_of_memory` or `engine_error`.
        """
        if self._model is None or self._watched is None:
            raise EngineFailure("not_loaded", "load a model before running a request")
        language = _supported(self._model, request.get("language"))
        if request.get("task") == TRANSLATE and not self._model.model.is_multilingual:
            raise EngineFailure("translation_not_supported", f"an English-only model cannot translate; type: {PULL}")
        samples = read_samples(str(request["path"]))
        seconds = seconds_of(samples)
        response: dict[str, Any] = {"segments": [], "language": language, "seconds_of_audio": seconds}
        response["device"] = self._device
        if not speech_regions(samples):
            report(1.0)
            return response
        progress = Progress(report, seconds)
        progress.reached(0.0)
        self._watched.on_event = progress.window_event
        try:
            if request.get("detect_only"):
                response |= self._detected(samples)
            else:
                response |= self._transcribed(samples, language, request, progress)
        except (RuntimeError, MemoryError) as error:
            raise _failure_of(error) from error
        finally:
            self._watched.on_event = None
        report(1.0)
        return response

    def _detected(self, samples: Samples) -> dict[str, Any]:
        if not self._model.model.is_multilingual:
            return {"language": "en", "language_probability": 1.0}
        speech = self._speech_in(samples)
        if not len(speech):
            return {"language": None}
        language, probability, _ = self._model.detect_language(
            audio=speech, language_detection_segments=DETECTION_WINDOWS
        )
        return {"language": language, "language_probability": round(float(probability), 4)}

    def _speech_in(self, samples: Samples) -> NDArray[np.float32]:
        """What the voice detection takes for speech, one after another; Whisper calls silence and noise English."""
        audio = _as_floats(samples)
        chunks, _ = self._vad.collect_chunks(audio, self._vad.get_speech_timestamps(audio, self._voice_detection))
        return np.concatenate([np.zeros(0, np.float32), *chunks])

    def _transcribed(
        self, samples: Samples, language: str | None, request: JsonObject, progress: Progress
    ) -> dict[str, Any]:
        with_words = bool(request.get("words", True))
        heard, information = self._model.transcribe(
            _as_floats(samples),
            language=language,
            task=str(request.get("task") or "transcribe"),
            language_detection_segments=DETECTION_WINDOWS,
            initial_prompt=request.get("prompt") or None,
            word_timestamps=with_words,
            beam_size=self._settings.beam_size,
            # The second value starts the second try, which rolls no dice: see WatchedModel.
            temperature=(0.0, SECOND_TRY),
            # What one window got wrong must not be repeated by the next.
            condition_on_previous_text=False,
            vad_filter=True,
            vad_parameters=self._voice_detection,
            max_new_tokens=self._settings.maximum_tokens,
        )
        segments = []
        for segment in heard:
            progress.reached(segment.end)
            segments.append(_plain_segment(segment, progress.seconds))
        segments = [one for one in segments if one["text"]]
        return {"segments": segments, "language": information.language if segments else language}


def _record(model: str, size_mb: int, reason: str) -> ModelRecord:
    english = is_english_only(model)
    return ModelRecord(
        capability=FasterWhisper.capability,
        engine=FasterWhisper.name,
        model=model,
        traits=(WORD_TIMES, language_trait("en")) if english else (WORD_TIMES, ANY_LANGUAGE, DETECTS_LANGUAGE),
        memory_mb=size_mb + WORKING_MB if size_mb else 0,
        usable=not reason,
        reason=reason,
    )


def _supported(model: Any, language: object) -> str | None:
    """The code of a language that the model knows, None for one that it is to find out. Raises EngineFailure."""
    if language is None:
        return None
    code = str(language)
    if code not in model.supported_languages:
        remedy = f"an English-only model is loaded; type: {PULL}"
        if model.model.is_multilingual:
            remedy = "Whisper does not know this language; leave it out to have it detected"
        raise EngineFailure("language_not_supported", f"language {code!r} cannot be transcribed: {remedy}")
    return code


SECOND_TRY = 0.2
"""Stands for "once more": faster-whisper asks for a random draw at this temperature, and gets something better."""


class WatchedModel:
    """The CTranslate2 model, telling of every call that ended.

    A draw at a temperature is replaced by a beam that may not repeat three tokens: loops are what second tries are for,
    and the same audio must give the same words on every attempt.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self.on_event: Callable[[str], None] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def encode(self, *arguments: Any, **options: Any) -> Any:
        return self._told("encoded", self._model.encode(*arguments, **options))

    def align(self, *arguments: Any, **options: Any) -> Any:
        return self._told("aligned", self._model.align(*arguments, **options))

    def generate(self, *arguments: Any, **options: Any) -> Any:
        if options.get("sampling_temperature", 0.0) > 0.0:
            options |= {"sampling_temperature": 0.0, "num_hypotheses": 1, "beam_size": 5, "no_repeat_ngram_size": 3}
            options.pop("sampling_topk", None)
        return self._told("decoded", self._model.generate(*arguments, **options))

    def _told(self, event: str, result: Any) -> Any:
        if self.on_event is not None:
            self.on_event(event)
        return result


class Progress:
    """Turns what the model did into a fraction of the audio that never goes back."""

    def __init__(self, report: Report, seconds: float) -> None:
        self._report = report
        self.seconds = max(seconds, 0.001)
        self._fraction = 0.0

    def reached(self, second: float) -> None:
        """A segment that ends here was heard."""
        self._fraction = max(self._fraction, min(0.99, float(second) / self.seconds))
        self._report(self._fraction)

    def window_event(self, event: str) -> None:  # noqa: ARG002
        """Something was computed inside the window that follows the last segment; how far, nobody knows."""
        self._report(self._fraction)


def is_english_only(model: str) -> bool:
    """By the names that Whisper's models bear: `small.en`, `distil-small.en`."""
    return model.endswith(".en") or ".en-" in model


def translates(model: str) -> bool:
    """Whether it learned to translate into English: turbo and distilled models did not, though they know languages."""
    return not (is_english_only(model) or "turbo" in model or "distil" in model)


def read_settings(folder: Path) -> ModelSettings:
    """Raises EngineFailure `model_settings` for a file that cannot be used."""
    path = folder / "clustercore.json"
    if not path.exists():
        return ModelSettings()
    try:
        return ModelSettings(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        known = ", ".join(ModelSettings.__slots__)
        raise EngineFailure("model_settings", f"{path}: {error}; it may hold {known}") from error


def _devices(gpus: int, compute_type: str | None) -> Iterable[tuple[str, str]]:
    if gpus:
        yield "cuda", compute_type or "float16"
    yield "cpu", "int8" if gpus else compute_type or "int8"


def _missing(folder: Path) -> str:
    absent = [name for name in NEEDED if not (folder / name).is_file()]
    if not any(folder.glob("vocabulary.*")):
        absent.append("vocabulary.txt or vocabulary.json")
    if not absent:
        return ""
    return f"{folder} lacks {', '.join(absent)}; type: clustercore models pull faster-whisper:{folder.name}"


def _does_not_load(folder: Path, error: Exception) -> str:
    label = f"faster-whisper:{folder.name}"
    return (
        f"the model in {folder} does not load ({error}); type: "
        f"clustercore models rm {label} && clustercore models pull {label}"
    )


def _failure_of(error: Exception) -> EngineFailure:
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
        return EngineFailure(
            "out_of_memory", f"the model ran out of memory ({error}); use a smaller one, or fewer slots"
        )
    return EngineFailure("engine_error", f"faster-whisper failed: {error}")


def _plain_segment(segment: Any, seconds: float) -> dict[str, Any]:
    words: list[dict[str, Any]] = []
    for word in segment.words or ():
        told = {
            "word": word.word.strip(),
            "start": _clipped(word.start, seconds),
            "end": _clipped(word.end, seconds),
            "probability": round(float(word.probability), 4),
        }
        if words and _goes_on(words[-1]["word"], word.word):
            words[-1] = _one_word(words[-1], told)
        else:
            words.append(told)
    start, end = _clipped(segment.start, seconds), _clipped(segment.end, seconds)
    return {"start": start, "end": end, "text": segment.text.strip(), "words": words}


def _goes_on(before: str, fragment: str) -> bool:
    """Whether a fragment is the rest of a word: Whisper cuts `d'avoir` and `puis-je` in two, and says by a space before
    it where a word begins."""
    if not before or not fragment.strip() or fragment[0].isspace():
        return False
    return not (is_unspaced(before[-1]) or is_unspaced(fragment[0]))


def _one_word(first: dict[str, Any], rest: dict[str, Any]) -> dict[str, Any]:
    return {
        "word": first["word"] + rest["word"],
        "start": first["start"],
        "end": max(first["end"], rest["end"]),
        "probability": min(first["probability"], rest["probability"]),
    }


def _as_floats(samples: Samples) -> NDArray[np.float32]:
    return samples.astype(np.float32) / np.float32(32_768)


def _clipped(second: float, seconds: float) -> float:
    # A window is padded to 30 s and may claim words beyond the end of the file.
    return round(min(max(0.0, float(second)), seconds), 3)
