"""How long the first result of many is waited for: recordings of one piece each, all waiting for one slot.

Real workers, and an engine that answers at once. `first_done_after_pieces` counts the pieces heard by the time the
first job is done: 1 where each job is finished before the next begins, all of them where they are heard in turn.

    python -m benchmarks first_result [--recordings 50] [--rounds 3] [--strict]
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from django.core.management import call_command

from benchmarks import harness
from clustercore.blobs.services import establish_hub
from clustercore.embedded.services import ensure_running, stop
from clustercore.jobs.models import Job, Unit
from clustercore.nodes.models import Node
from transcription.adapters.flac import write_flac
from transcription.domain.sampling import SAMPLE_RATE
from transcription.services.submit import Wishes, submit_transcription

DATA_DIRECTORY = harness.data_directory()

NODE = "bench"
BARS: harness.Bars = {"first_done_after_pieces": ("<=", 2)}
PLUG_INS = {
    "CLUSTERCORE_ENGINES": json.dumps(["transcription.adapters.media:MediaCutter", "benchmarks.quick_engine:Quick"]),
    "CLUSTERCORE_TIERS": json.dumps({"stt": ["quick:*"]}),
}


def submit_all(recordings: int, number: int) -> list[int]:
    """Queues that many recordings of three seconds; no two of them are the same. Returns the jobs."""
    sounds = np.random.default_rng(number)
    jobs = []
    for one in range(recordings):
        path = Path(DATA_DIRECTORY) / f"recording-{number}-{one}.flac"
        write_flac(path, sounds.integers(-2000, 2000, 3 * SAMPLE_RATE).astype(np.int16))
        jobs.append(submit_transcription(None, path, path.name, Wishes(language="en"))[0].pk)
        path.unlink()
    return jobs


def measure(recordings: int, number: int) -> dict[str, Any]:
    """One round: everything waits before the node starts."""
    jobs = Job.objects.filter(pk__in=submit_all(recordings, number))
    with harness.worker(NODE, slots=1, **PLUG_INS):
        harness.wait_until(lambda: Node.objects.filter(name=NODE, online=True).exists(), 120, "the node", every=0.2)
        over = jobs.exclude(state="running")
        harness.wait_until(lambda: over.count() == recordings, 900, "the recordings", every=0.5)
    done = list(jobs.filter(state="done").order_by("finished").values_list("finished", flat=True))
    if len(done) != recordings:
        raise RuntimeError(f"{recordings - len(done)} recordings failed: {over.exclude(state='done').first()}")
    heard = Unit.objects.filter(job__in=jobs, stage="transcribe").order_by("finished")
    pieces = [when for when in heard.values_list("finished", flat=True) if when is not None]
    return {"done": seconds(pieces[0], done), "heard": seconds(pieces[0], pieces)}


def seconds(since: datetime, moments: Sequence[datetime | None]) -> list[float]:
    return [round((moment - since).total_seconds(), 3) for moment in moments if moment is not None]


def metrics_of(found: dict[str, Any]) -> dict[str, float]:
    """Seconds count from the moment at which the first piece was heard."""
    first = found["done"][0]
    return {
        "first_done_after_pieces": sum(when <= first for when in found["heard"]),
        "first_done_seconds": first,
        "mean_done_seconds": round(sum(found["done"]) / len(found["done"]), 3),
        "all_done_seconds": found["done"][-1],
    }


def main() -> None:
    """Measures, prints, writes."""
    arguments = harness.arguments(__doc__)
    arguments.add_argument("--recordings", type=int, default=50)
    chosen = arguments.parse_args()
    with ensure_running(DATA_DIRECTORY, linger_seconds=5):
        call_command("migrate", verbosity=0)
        establish_hub(DATA_DIRECTORY, "http://127.0.0.1:9")
        rounds = harness.rounds(chosen.rounds, lambda number: measure(chosen.recordings, number))
    stop(DATA_DIRECTORY)
    metrics = harness.medians([metrics_of(one.found) for one in rounds])
    heading = harness.title(f"The first result of {chosen.recordings}", BARS)
    harness.print_table(heading, ("metric", "value"), list(metrics.items()))

    def draw(axes: Any) -> None:
        last = rounds[-1].found
        count = range(1, chosen.recordings + 1)
        axes.step(last["heard"], count, where="post", label="pieces heard")
        axes.step(last["done"], count, where="post", label="jobs done")
        axes.set(xlabel="seconds since the first piece", ylabel="how many", title="When results are there")
        axes.legend()

    details = {"recordings": chosen.recordings, "rounds": [one.found for one in rounds]}
    loads = [one.load for one in rounds]
    harness.publish("first_result", metrics, details, draw, bars=BARS, loads=loads, strict=chosen.strict)
