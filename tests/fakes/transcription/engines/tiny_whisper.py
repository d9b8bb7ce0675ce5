"""Writes a faster-whisper model of random weights: the cost and the shape of a real one, the words of none."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
from ctranslate2.specs import WhisperSpec, common_spec, transformer_spec
from numpy.typing import NDArray

from transcription.domain.language import LANGUAGES

WORDS = 50_257
MEL_BANDS = 80
TIMES = 1_501
WINDOW_ENDS = 30
"""The position of the decoder at which every window ends, as one segment."""
_SYLLABLES = [consonant + vowel for consonant in "bdfghklmnprstvz" for vowel in "aeiou"]
_TASKS = ("translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps")


@dataclass(frozen=True, slots=True)
class Shape:
    """The size of a Whisper model; `Shape()` is that of Whisper's `tiny`."""

    layers: int = 4
    heads: int = 6
    width: int = 384


TINY = Shape()
SMALLEST = Shape(layers=1, heads=2, width=128)
"""For tests that need a model, not its cost."""


def write_tiny_whisper(directory: Path, seed: int = 0, shape: Shape = TINY, maximum_tokens: int = 60) -> Path:
    """A folder that the FasterWhisper engine loads. Random weights seldom end a sentence: `maximum_tokens` does."""
    directory.mkdir(parents=True, exist_ok=True)
    tokens = vocabulary()
    spec = WhisperSpec(shape.layers, shape.heads, shape.layers, shape.heads)
    _fill(spec, shape, len(tokens), np.random.default_rng(seed))
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = [tokens.index("<|endoftext|>")]
    spec.config.lang_ids = [tokens.index(f"<|{code}|>") for code in list(LANGUAGES)[:99]]
    spec.config.alignment_heads = [(shape.layers - 1, head) for head in range(shape.heads)]
    spec.register_vocabulary(tokens)
    spec.validate()
    spec.optimize("int8")
    spec.save(str(directory))
    _write_tokenizer(directory, tokens)
    features = {"feature_size": MEL_BANDS, "sampling_rate": 16_000, "hop_length": 160, "n_fft": 400, "chunk_length": 30}
    (directory / "preprocessor_config.json").write_text(json.dumps(features))
    (directory / "clustercore.json").write_text(json.dumps({"beam_size": 1, "maximum_tokens": maximum_tokens}))
    return directory


def vocabulary() -> list[str]:
    """51,865 tokens in Whisper's order: words, the end, the start, 99 languages, tasks, 1,501 times."""
    # The empty word ends the vocabulary of multilingual models, and is how CTranslate2 tells them from English ones.
    words = [*(" " + _nonsense(number) for number in range(WORDS - 1)), ""]
    languages = [f"<|{code}|>" for code in list(LANGUAGES)[:99]]
    times = [f"<|{step * 0.02:.2f}|>" for step in range(TIMES)]
    return [*words, "<|endoftext|>", "<|startoftranscript|>", *languages, *(f"<|{task}|>" for task in _TASKS), *times]


def _nonsense(number: int) -> str:
    base = len(_SYLLABLES)
    return _SYLLABLES[number % base] + _SYLLABLES[number // base % base] + _SYLLABLES[number // base**2]


def _fill(spec: WhisperSpec, shape: Shape, tokens: int, random: np.random.Generator) -> None:
    width = shape.width
    _matrix(spec.encoder.conv1, (width, MEL_BANDS, 3), random)
    _matrix(spec.encoder.conv2, (width, width, 3), random)
    spec.encoder.position_encodings.encodings = _normal(random, 1_500, width)
    _norm(spec.encoder.layer_norm, width)
    for layer in spec.encoder.layer:
        _attention(layer.self_attention, width, random)
        _feed_forward(layer.ffn, width, random)
    spec.decoder.embeddings.weight = _normal(random, tokens, width)
    # No time but the last is ever likely; the last, and then the end, are said at a fixed position. Times drawn by
    # chance made a window be heard up to seven times over, and the cost of a piece a matter of luck.
    spec.decoder.projection.weight = spec.decoder.embeddings.weight
    spec.decoder.projection.bias = np.zeros(tokens, dtype=np.float32)
    spec.decoder.projection.bias[-TIMES:-1] = -100.0
    spec.decoder.position_encodings.encodings = _normal(random, 448, width)
    for position, token in ((WINDOW_ENDS, tokens - 1), (WINDOW_ENDS + 1, WORDS)):
        spec.decoder.position_encodings.encodings[position] = 100.0 * spec.decoder.embeddings.weight[token]
    _norm(spec.decoder.layer_norm, width)
    for layer in spec.decoder.layer:
        _attention(layer.self_attention, width, random)
        _attention(layer.attention, width, random)
        _feed_forward(layer.ffn, width, random)


def _attention(spec: Any, width: int, random: np.random.Generator) -> None:
    _norm(spec.layer_norm, width)
    # Two projections: queries, keys and values in one, and the output; three: keys and values in one of their own.
    rows = {2: (3, 1), 3: (1, 2, 1)}[len(spec.linear)]
    for linear, factor in zip(spec.linear, rows, strict=True):
        _matrix(linear, (factor * width, width), random)


def _feed_forward(spec: transformer_spec.FeedForwardSpec, width: int, random: np.random.Generator) -> None:
    _norm(spec.layer_norm, width)
    _matrix(spec.linear_0, (4 * width, width), random)
    _matrix(spec.linear_1, (width, 4 * width), random)


def _norm(spec: common_spec.LayerNormSpec, width: int) -> None:
    spec.gamma = np.ones(width, dtype=np.float32)
    spec.beta = np.zeros(width, dtype=np.float32)


def _matrix(spec: Any, shape: tuple[int, ...], random: np.random.Generator) -> None:
    spec.weight = _normal(random, *shape)
    spec.bias = np.zeros(shape[0], dtype=np.float32)


def _normal(random: np.random.Generator, *shape: int) -> NDArray[np.float32]:
    return random.standard_normal(shape, dtype=np.float32) / np.float32(shape[-1] ** 0.5)


def _write_tokenizer(directory: Path, tokens: list[str]) -> None:
    words = tokenizers.models.WordLevel({token: number for number, token in enumerate(tokens)}, unk_token=tokens[0])
    tokenizer = tokenizers.Tokenizer(words)
    tokenizer.decoder = tokenizers.decoders.Fuse()
    tokenizer.add_special_tokens(tokens[WORDS:])
    tokenizer.save(str(directory / "tokenizer.json"))
