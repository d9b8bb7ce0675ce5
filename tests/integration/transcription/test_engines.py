"""The three engines as they are, on real speech, on random weights, and on a model that is broken."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import pytest

from clustercore.nodes.domain.engine import EngineFailure, JsonObject
from tests.fakes.transcription.engines.audio_files import RATE, silence, spoken, tone, write_flac
from tests.fakes.transcription.engines.tiny_whisper import SMALLEST, write_tiny_whisper
from transcription.adapters.engines.audio import read_samples
from transcription.adapters.engines.faster_whisper import FasterWhisper
from transcription.adapters.engines.pocketsphinx import PocketSphinx
from transcription.adapters.engines.vosk import Vosk
from transcription.domain.language import LANGUAGES
from transcription.domain.self_test import judge

SAMPLES = Path(__file__).parents[3] / "transcription" / "samples"
SENTENCES = (
    ("rms", "Good morning everybody, and thank you for coming to the meeting today."),
    ("slt", "We want to talk about the weather and the state of the roads in the winter."),
    ("rms", "The city will pay for one half of it, and the state will pay for the rest."),
)
needs_flite = pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed (apt install flite)")


@dataclass
class Heard:
    """A response and the reports that came before it."""

    response: JsonObject
    fractions: list[float] = field(default_factory=list)

    @property
    def text(self) -> str:
        return " ".join(segment["text"] for segment in self.response["segments"])

    @property
    def words(self) -> list[dict[str, Any]]:
        return [word for segment in self.response["segments"] for word in segment["words"]]


def hear(engine: PocketSphinx | FasterWhisper, path: Path, **request: Any) -> Heard:
    fractions: list[float] = []
    whole = {"path": str(path), "language": "en", "prompt": None, "words": True, **request}
    response = engine.run(whole, lambda fraction, event=None: fractions.append(fraction))
    return Heard(response, fractions)


def plain(text: str) -> str:
    return re.sub(r"[^a-z' ]", "", text.lower())


@pytest.fixture(scope="module")
def sphinx() -> PocketSphinx:
    engine = PocketSphinx()
    assert engine.load("en-us", Path("unused")).device == "cpu"
    return engine


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("models")
    write_tiny_whisper(directory / "faster-whisper" / "random", shape=SMALLEST, maximum_tokens=30)
    return directory


@pytest.fixture(scope="module")
def whisper(models: Path) -> Iterator[FasterWhisper]:
    engine = FasterWhisper()
    assert engine.load("random", models).device in {"cpu", "cuda"}
    yield engine


@pytest.fixture(scope="module")
def clip() -> Path:
    return SAMPLES / "clip.flac"


def assert_well_formed(heard: Heard) -> None:
    seconds = heard.response["seconds_of_audio"]
    for segment in heard.response["segments"]:
        assert 0 <= segment["start"] <= segment["end"] <= seconds
        assert segment["text"]
        assert all(0 <= word["probability"] <= 1 and word["word"] == word["word"].strip() for word in segment["words"])
    assert heard.fractions == sorted(heard.fractions)
    assert heard.fractions[-1] == 1.0


@needs_flite
def test_pocketsphinx_hears_synthetic_speech_with_few_errors(sphinx: PocketSphinx, tmp_path: Path) -> None:
    parts = [part for voice, text in SENTENCES for part in (spoken(text, tmp_path, voice), silence(0.5))]
    heard = hear(sphinx, write_flac(tmp_path / "piece.flac", np.concatenate(parts)))
    assert_well_formed(heard)
    assert len(heard.response["segments"]) == len(SENTENCES)
    reference = plain(" ".join(text for _, text in SENTENCES))
    assert jiwer.wer(reference, heard.text) < 0.2
    assert len(heard.fractions) >= len(SENTENCES)


def test_pocketsphinx_passes_the_self_test_on_the_bundled_clip(sphinx: PocketSphinx, clip: Path) -> None:
    heard = hear(sphinx, clip)
    expected = (SAMPLES / "clip.txt").read_text(encoding="utf-8")
    result = judge(
        clip_seconds=heard.response["seconds_of_audio"],
        elapsed_seconds=1,
        device="cpu",
        expected=expected,
        heard=heard.text,
    )
    assert result.passed, (heard.text, expected)


def test_pocketsphinx_hears_the_same_the_second_time(sphinx: PocketSphinx, clip: Path, tmp_path: Path) -> None:
    first = hear(sphinx, clip)
    hear(sphinx, write_flac(tmp_path / "other.flac", tone(2.0)))
    assert hear(sphinx, clip).response == first.response


def test_pocketsphinx_tells_words_in_the_order_of_time(sphinx: PocketSphinx, clip: Path) -> None:
    words = hear(sphinx, clip).words
    assert len(words) > 5
    for earlier, later in pairwise(words):
        assert earlier["end"] <= later["start"] + 0.02


def test_words_are_left_out_when_nobody_wants_them(sphinx: PocketSphinx, clip: Path) -> None:
    heard = hear(sphinx, clip, words=False)
    assert heard.text
    assert heard.words == []


@pytest.mark.parametrize("name", ["sphinx", "whisper"])
def test_silence_gives_no_segments(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    engine = request.getfixturevalue(name)
    heard = hear(engine, write_flac(tmp_path / "silence.flac", silence(3.0)))
    assert heard.response["segments"] == []
    assert heard.response["seconds_of_audio"] == 3.0
    assert heard.fractions[-1] == 1.0


def test_a_broken_piece_is_an_expected_failure_and_the_engine_goes_on(whisper: FasterWhisper, clip: Path) -> None:
    with pytest.raises(EngineFailure) as caught:
        hear(whisper, clip.with_suffix(".txt"))
    assert caught.value.code == "media_unreadable"
    assert_well_formed(hear(whisper, clip))


def test_whisper_with_random_weights_returns_well_formed_nonsense(whisper: FasterWhisper, clip: Path) -> None:
    heard = hear(whisper, clip, prompt="names such as Anna")
    assert_well_formed(heard)
    assert heard.words
    assert heard.response["language"] == "en"


def test_the_random_model_is_as_multilingual_as_it_says(whisper: FasterWhisper, clip: Path) -> None:
    assert hear(whisper, clip, language="de").response["language"] == "de"


def test_whisper_detects_a_language_of_its_table(whisper: FasterWhisper, clip: Path) -> None:
    assert hear(whisper, clip, language=None).response["language"] in LANGUAGES


def test_a_language_can_be_detected_without_hearing_the_rest(whisper: FasterWhisper, clip: Path) -> None:
    response = hear(whisper, clip, language=None, detect_only=True).response
    assert response["language"] in LANGUAGES
    assert 0 <= response["language_probability"] <= 1
    assert response["segments"] == []


def test_an_engine_of_one_language_detects_that_one(sphinx: PocketSphinx, clip: Path) -> None:
    assert hear(sphinx, clip, language=None, detect_only=True).response["language"] == "en"


def test_whisper_hears_the_same_the_second_time(whisper: FasterWhisper, clip: Path) -> None:
    assert hear(whisper, clip).response == hear(whisper, clip).response


def test_whisper_reports_at_every_window(whisper: FasterWhisper, clip: Path, tmp_path: Path) -> None:
    samples = np.tile(read_samples(clip), 1 + 90 * RATE // len(read_samples(clip)))
    heard = hear(whisper, write_flac(tmp_path / "long.flac", samples))
    assert len(heard.fractions) >= 6
    assert_well_formed(heard)


def test_noise_without_a_voice_is_no_failure(whisper: FasterWhisper, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 300, 3 * RATE).astype(np.int16)
    path = write_flac(tmp_path / "noise.flac", noise)
    for language, detect_only in (("en", False), (None, False), (None, True)):
        assert_well_formed(hear(whisper, path, language=language, detect_only=detect_only))
    assert hear(whisper, path, language=None, detect_only=True).response["language"] is None


def test_whisper_refuses_a_language_that_it_does_not_know(whisper: FasterWhisper, clip: Path) -> None:
    with pytest.raises(EngineFailure) as caught:
        hear(whisper, clip, language="xx")
    assert caught.value.code == "language_not_supported"


def test_a_broken_whisper_model_is_corrupt_and_says_what_to_type(models: Path, tmp_path: Path) -> None:
    broken = tmp_path / "faster-whisper" / "random"
    shutil.copytree(models / "faster-whisper" / "random", broken)
    (broken / "model.bin").write_bytes((broken / "model.bin").read_bytes()[:1_000_000])
    with pytest.raises(EngineFailure, match="models rm faster-whisper:random && clustercore models pull") as caught:
        FasterWhisper().load("random", tmp_path)
    assert caught.value.code == "model_corrupt"


def test_a_broken_vosk_model_is_corrupt_for_the_real_wheel(tmp_path: Path) -> None:
    folder = tmp_path / "vosk" / "en-small"
    (folder / "am").mkdir(parents=True)
    (folder / "conf").mkdir()
    (folder / "am" / "final.mdl").write_bytes(b"no model")
    (folder / "conf" / "mfcc.conf").write_text("--sample-frequency=16000\n")
    (folder / "conf" / "model.conf").write_text("--beam=10.0\n")
    with pytest.raises(EngineFailure, match="clustercore models pull vosk:en-small") as caught:
        Vosk().load("en-small", tmp_path)
    assert caught.value.code == "model_corrupt"


def test_whisper_is_told_whether_to_translate(whisper: FasterWhisper, clip: Path) -> None:
    request = {"path": str(clip), "language": "de", "prompt": "", "words": True}
    transcribed = whisper.run({**request, "task": "transcribe"}, lambda *_: None)
    translated = whisper.run({**request, "task": "translate"}, lambda *_: None)
    assert translated["language"] == transcribed["language"] == "de"
    # Random weights make no sense of it, but hear another token among those that they begin with.
    assert translated["segments"] != transcribed["segments"]


def test_an_english_model_says_that_it_cannot_translate(models: Path, clip: Path) -> None:
    engine = FasterWhisper()
    engine.load("random", models)
    engine._model.model = EnglishOnly()
    with pytest.raises(EngineFailure) as refused:
        engine.run({"path": str(clip), "language": None, "prompt": "", "task": "translate"}, lambda *_: None)
    assert refused.value.code == "translation_not_supported"


class EnglishOnly:
    is_multilingual = False
