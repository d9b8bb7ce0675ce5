"""What two nodes gain: two one-slot nodes against two bare one-thread processes on two halves of the same recording.

The bare processes are the ceiling: no queue, no ledger, no cutting, models loaded before the clock starts. The nodes
are warm too. `two_over_ceiling` is the ceiling's seconds over the cluster's; the ratio over one bare process is shown.

    python -m benchmarks speedup [--rounds 5] [--engine pocketsphinx|faster-whisper|both] [--strict]
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from django.core.management import call_command

from benchmarks import harness
from clustercore.blobs.services import establish_hub
from clustercore.embedded.services import ensure_running, stop
from clustercore.jobs.models import Attempt, Job
from clustercore.nodes.models import Node
from tests.fakes.transcription.engines.tiny_whisper import write_tiny_whisper
from transcription.adapters.decoding import Decoder
from transcription.adapters.flac import write_flac
from transcription.adapters.surveying import survey
from transcription.domain.cut import Samples
from transcription.domain.sampling import SAMPLE_RATE
from transcription.services.submit import Wishes, submit_transcription

DATA_DIRECTORY = harness.data_directory()

CONVERSATION = Path(__file__).parents[1] / "transcription" / "samples" / "conversation.opus"
MODELS = DATA_DIRECTORY / "models"
BARS: harness.Bars = {"two_over_ceiling": (">=", 0.95)}
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Contestant:
    """An engine to measure, and how many times the bundled conversation is repeated for it."""

    engine: str
    model: str
    repeats: int


CONTESTANTS = {
    "pocketsphinx": Contestant("pocketsphinx", "en-us", 3),
    "faster-whisper": Contestant("faster-whisper", "tiny", 8),
}


def conversation() -> Samples:
    """The bundled recording, 16 kHz mono."""
    return np.concatenate(list(Decoder(survey(CONVERSATION, None, lambda: None), 3600.0, lambda: None).blocks()))


def write_recordings(contestant: Contestant, spoken: Samples, directory: Path) -> tuple[Path, list[Path], Path]:
    """The whole recording, its two halves, and a few seconds to warm up with."""
    directory.mkdir()
    whole = np.tile(spoken, contestant.repeats)
    paths = [directory / name for name in ("whole.flac", "first.flac", "second.flac", "warm.flac")]
    middle = len(whole) // 2
    for path, samples in zip(paths, (whole, whole[:middle], whole[middle:], spoken[: 4 * SAMPLE_RATE]), strict=True):
        write_flac(path, samples)
    return paths[0], paths[1:3], paths[3]


def bare_seconds(contestant: Contestant, files: list[Path], warm_up: Path) -> float:
    """Seconds that bare processes, one a file, take side by side, from the word go until the last is done."""
    command = [sys.executable, "-m", "benchmarks.bare_engine", contestant.engine, contestant.model, str(MODELS)]
    processes = [
        subprocess.Popen(
            [*command, str(path), str(warm_up)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **ONE_THREAD},
        )
        for path in files
    ]
    for process in processes:
        expect(process, b"ready\n")
    began = time.monotonic()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.flush()
    for process in processes:
        expect(process, b"done\n")
    seconds = time.monotonic() - began
    for process in processes:
        process.communicate(timeout=30)
    return seconds


def expect(process: subprocess.Popen[bytes], word: bytes) -> None:
    """Waits for a line of a bare process. Raises RuntimeError when it says something else."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if line != word:
        raise RuntimeError(f"a bare process said {line!r} instead of {word!r}")


def cluster_seconds(contestant: Contestant, recording: Path) -> float:
    """Seconds from submitting until the transcript is merged."""
    wishes = Wishes(language="en", engine=f"{contestant.engine}:{contestant.model}")
    began = time.time()
    job, _ = submit_transcription(None, recording, recording.name, wishes)
    harness.wait_until(lambda: Job.objects.get(pk=job.pk).state in ("done", "failed"), 900, "the job", every=0.5)
    ended = Job.objects.get(pk=job.pk)
    if ended.state != "done" or ended.gaps or ended.finished is None:
        raise RuntimeError(ended.error or f"{ended.gaps} pieces were not heard")
    return ended.finished.timestamp() - began


def pieces() -> list[dict[str, Any]]:
    """How each piece of the last job was served."""
    last = Job.objects.order_by("-id").first()
    attempts = Attempt.objects.filter(unit__job=last, unit__stage="transcribe").order_by("started")
    return [
        {
            "node": attempt.node_name,
            "audio": attempt.served_by["audio_seconds"],
            "seconds": attempt.served_by["seconds"],
        }
        for attempt in attempts
    ]


def compare(contestant: Contestant, rounds: int, spoken: Samples) -> dict[str, Any]:
    """Interleaved rounds of both, and one bare process over the whole."""
    whole, halves, warm_up = write_recordings(contestant, spoken, DATA_DIRECTORY / f"{contestant.engine}-files")
    cluster_seconds(contestant, halves[0])

    def both(number: int) -> tuple[float, float]:
        seconds = bare_seconds(contestant, halves, warm_up), cluster_seconds(contestant, whole)
        print(f"  {contestant.engine} round {number + 1}: two bare {seconds[0]:.1f} s, two nodes {seconds[1]:.1f} s")
        return seconds

    found = harness.rounds(rounds, both)
    ceilings, clusters = zip(*(one.found for one in found), strict=True)
    one = bare_seconds(contestant, [whole], warm_up)
    ratios = [ceiling / cluster for ceiling, cluster in zip(ceilings, clusters, strict=True)]
    return {
        "audio_seconds": round(len(spoken) * contestant.repeats / SAMPLE_RATE, 1),
        "two_bare_seconds": [round(value, 2) for value in ceilings],
        "two_nodes_seconds": [round(value, 2) for value in clusters],
        "one_bare_seconds": round(one, 2),
        "two_over_ceiling": round(statistics.median(ratios), 3),
        "two_over_one": round(one / statistics.median(clusters), 3),
        "pieces": pieces(),
        "loads": [one.load for one in found],
    }


def measure(contestants: list[Contestant], rounds: int) -> dict[str, dict[str, Any]]:
    """Each engine on the same two nodes."""
    spoken = conversation()
    write_tiny_whisper(MODELS / "faster-whisper" / "tiny")
    with ensure_running(DATA_DIRECTORY, linger_seconds=5), ExitStack() as stack:
        call_command("migrate", verbosity=0)
        establish_hub(DATA_DIRECTORY, "http://127.0.0.1:9")
        for name in ("one", "two"):
            stack.enter_context(harness.worker(name, CLUSTERCORE_ENGINE_THREADS="1"))
        online = Node.objects.filter(online=True)
        harness.wait_until(lambda: online.exclude(self_test={}).count() == 2, 120, "two nodes")
        found = {contestant.engine: compare(contestant, rounds, spoken) for contestant in contestants}
    stop(DATA_DIRECTORY)
    return found


def main() -> None:
    """Measures, prints, writes."""
    arguments = harness.arguments(__doc__, rounds=5)
    arguments.add_argument("--engine", choices=[*CONTESTANTS, "both"], default="both")
    chosen = arguments.parse_args()
    names = list(CONTESTANTS) if chosen.engine == "both" else [chosen.engine]
    found = measure([CONTESTANTS[name] for name in names], chosen.rounds)
    header = ("engine", "audio s", "one bare s", "two bare s", "two nodes s", "of the ceiling", "over one")
    rows = [
        (
            name,
            of["audio_seconds"],
            of["one_bare_seconds"],
            statistics.median(of["two_bare_seconds"]),
            statistics.median(of["two_nodes_seconds"]),
            of["two_over_ceiling"],
            of["two_over_one"],
        )
        for name, of in found.items()
    ]
    harness.print_table(harness.title("Two one-slot nodes against two bare processes", BARS), header, rows)
    metrics = {"two_over_ceiling": min(of["two_over_ceiling"] for of in found.values())}
    for name, of in found.items():
        short = name.replace("-", "_")
        metrics |= {f"two_over_ceiling_{short}": of["two_over_ceiling"], f"two_over_one_{short}": of["two_over_one"]}

    def draw(axes: Any) -> None:
        places = range(len(found))
        for offset, key in ((-0.25, "one_bare_seconds"), (0.0, "two_bare_seconds"), (0.25, "two_nodes_seconds")):
            heights = [float(np.median(of[key])) for of in found.values()]
            axes.bar([place + offset for place in places], heights, width=0.25, label=key.replace("_", " "))
        axes.set(
            xticks=list(places), xticklabels=list(found), ylabel="seconds", title="One process, two, and two nodes"
        )
        axes.legend()

    loads = [load for of in found.values() for load in of["loads"]]
    harness.publish("speedup", metrics, found, draw, bars=BARS, loads=loads, strict=chosen.strict)
