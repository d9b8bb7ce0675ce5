"""What the engines hear: word error rate, speed and memory of every engine and real model that can be had here.

python -m benchmarks ears [--rounds 1] [--strict]

Five sentences that a person reads (LibriVox, from the source archive of PocketSphinx). The interval is a bootstrap over
the words said: of each, what went wrong at it. Speed is seconds of sound per second of one processor.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jiwer

from benchmarks import harness
from benchmarks.recordings import Recording, human_recordings
from clustercore.nodes.adapters.model_sources import Fetching
from clustercore.nodes.adapters.model_store import pull
from clustercore.nodes.domain.model_catalogue import ModelStoreError
from transcription.domain.accuracy import normalised_words

BARS: harness.Bars = {"tiny_en_word_error_rate": ("<=", 0.15), "base_word_error_rate": ("<=", 0.08)}
CONTENDERS = (("pocketsphinx", "en-us"), ("faster-whisper", "tiny.en"), ("faster-whisper", "base"))
RESAMPLES = 5000
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@dataclass(frozen=True, slots=True)
class Ears:
    """How one engine and model heard everything."""

    label: str
    rate: float
    low: float
    high: float
    speed: float
    memory_mb: float
    texts: list[str]

    @property
    def metric(self) -> str:
        return self.label.partition(":")[2].replace(".", "_").replace("-", "_")


def errors_by_word(said: str, heard: str) -> list[int]:
    """Returns, for each word said, how many errors belong to it; what was inserted belongs to the word before it."""
    reference, hypothesis = " ".join(normalised_words(said)), " ".join(normalised_words(heard))
    errors = [0] * len(reference.split())
    for chunk in jiwer.process_words(reference, hypothesis).alignments[0]:
        if chunk.type == "insert":
            errors[max(0, chunk.ref_start_idx - 1)] += chunk.hyp_end_idx - chunk.hyp_start_idx
        elif chunk.type != "equal":
            for place in range(chunk.ref_start_idx, chunk.ref_end_idx):
                errors[place] += 1
    return errors


def interval(errors: Sequence[int], resamples: int = RESAMPLES) -> tuple[float, float]:
    """Returns the 95 % percentile interval of the error rate, by drawing words anew (Efron, 1979)."""
    chance = random.Random(1)
    rates = [sum(chance.choices(errors, k=len(errors))) / len(errors) for _ in range(resamples)]
    return harness.quantile(rates, 0.025), harness.quantile(rates, 0.975)


def hear(engine: str, model: str, models: Path, recordings: Sequence[Recording]) -> Ears:
    """Hears all recordings in a process of their own, with one thread."""
    command = [sys.executable, "-m", "benchmarks.hearing", engine, model, str(models)]
    paths = [str(one.path) for one in recordings]
    done = subprocess.run([*command, *paths], check=True, capture_output=True, env={**os.environ, **ONE_THREAD})
    found = json.loads(done.stdout.splitlines()[-1])
    pairs = zip(recordings, found["texts"], strict=True)
    errors = [number for one, text in pairs for number in errors_by_word(one.said, text)]
    low, high = interval(errors)
    sound = sum(one.seconds for one in recordings)
    speed = sound / found["processor_seconds"]
    rate = sum(errors) / len(errors)
    return Ears(f"{engine}:{model}", rate, low, high, speed, found["peak_memory_mb"], found["texts"])


def bring(models: Path) -> Iterator[tuple[str, str]]:
    """Yields each contender whose model can be had; says why the others are left out."""
    for engine, model in CONTENDERS:
        try:
            if engine != "pocketsphinx":
                pull(f"{engine}:{model}", models, 2.0, fetching=Fetching(tell=lambda text: print(f"  {text}")))
        except ModelStoreError as failure:
            print(f"  left out: {engine}:{model}: {failure}")
            continue
        yield engine, model


def medians(rounds: Sequence[Sequence[Ears]]) -> dict[str, float]:
    """Returns the metrics of every contender, each the median of the rounds."""
    named = [
        {
            f"{one.metric}_{name}": value
            for one in found
            for name, value in (
                ("word_error_rate", one.rate),
                ("seconds_of_sound_per_processor_second", one.speed),
                ("peak_memory_mb", one.memory_mb),
            )
        }
        for found in rounds
    ]
    return harness.medians(named)


def main() -> None:
    """Brings, measures, prints, writes."""
    chosen = harness.arguments(__doc__, rounds=1).parse_args()
    directory = harness.data_directory()
    recordings = human_recordings(directory)
    contenders = list(bring(directory / "models"))
    rounds = harness.rounds(
        chosen.rounds, lambda _: [hear(*one, directory / "models", recordings) for one in contenders]
    )
    metrics, last = medians([one.found for one in rounds]), rounds[-1].found
    rows = [
        (
            one.label,
            f"{one.rate:.3f} ({one.low:.3f} to {one.high:.3f})",
            f"{metrics[f'{one.metric}_seconds_of_sound_per_processor_second']:.1f}",
            f"{one.memory_mb:.0f}",
        )
        for one in last
    ]
    words = sum(len(normalised_words(one.said)) for one in recordings)
    sound = sum(one.seconds for one in recordings)
    bars = {name: bar for name, bar in BARS.items() if name in metrics}
    heading = harness.title(f"{words} words, {sound:.0f} s, {len(recordings)} recordings", bars)
    header = ("engine", "word error rate (95 % interval)", "seconds of sound per processor second", "peak MB")
    harness.print_table(heading, header, rows)

    def draw(axes: Any) -> None:
        rates = [one.rate for one in last]
        spread = [[one.rate - one.low for one in last], [one.high - one.rate for one in last]]
        axes.bar([one.label for one in last], rates, yerr=spread, capsize=6)
        axes.set(ylabel="word error rate", title=f"What the engines hear of {words} words read by a person")

    details = {
        "recordings": [{"name": one.path.stem, "seconds": one.seconds, "said": one.said} for one in recordings],
        "heard": {one.label: {"texts": one.texts, "interval": [one.low, one.high]} for one in last},
        "threads": 1,
    }
    loads = [one.load for one in rounds]
    harness.publish("ears", metrics, details, draw, bars=bars, loads=loads, strict=chosen.strict)


if __name__ == "__main__":
    main()
