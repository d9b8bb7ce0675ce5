"""How soon a recording is merged after its last piece: with the canvas that brings the merge, and without.

Real workers, and an engine that answers at once. `merge_after_last_piece_ms` counts from the result of the last piece
until the merge is in hand, both by the database's clock; `without_chord_ms` the same where nobody sends the merge's
message, so that the node finds it when it looks for work; `sent_when_opened_ms` where no canvas is sent and whoever
does the last piece sends the message. Recordings of all sorts take turns.

    python -m benchmarks canvas [--recordings 4] [--rounds 3] [--strict]
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

import numpy as np
from django.core.management import call_command

from benchmarks import harness
from benchmarks.silent_joins import OPENED, SILENT
from clustercore.blobs.services import establish_hub
from clustercore.embedded.services import ensure_running, stop
from clustercore.jobs.models import Attempt, Job, Unit
from clustercore.nodes.models import Node
from transcription.adapters.flac import write_flac
from transcription.domain.sampling import SAMPLE_RATE
from transcription.services.submit import Wishes, submit_transcription

DATA_DIRECTORY = harness.data_directory()

NODE, SLOTS = "bench", 2
SECONDS, PIECE_SECONDS = 60, 2.0
SORTS = {"merge_after_last_piece_ms": "sent", "without_chord_ms": SILENT, "sent_when_opened_ms": OPENED}
"""By metric: how the titles of its jobs begin."""
BARS: harness.Bars = {"merge_after_last_piece_ms": ("<=", 50.0)}
PLUG_INS = {
    "CLUSTERCORE_ENGINES": json.dumps(["transcription.adapters.media:MediaCutter", "benchmarks.quick_engine:Quick"]),
    "CLUSTERCORE_TIERS": json.dumps({"stt": ["quick:*"]}),
}


def merged(title: str, seed: int) -> Job:
    """A recording of noise that no other one equals, merged."""
    path = Path(DATA_DIRECTORY) / f"{title}-{seed}.flac"
    noise = np.random.default_rng(seed).integers(-2000, 2000, SECONDS * SAMPLE_RATE)
    write_flac(path, noise.astype(np.int16))
    job, _ = submit_transcription(None, path, path.name, Wishes(language="en", piece_seconds=PIECE_SECONDS))
    path.unlink()
    done = Job.objects.filter(pk=job.pk, state="done")
    harness.wait_until(done.exists, 120, f"job {job.pk}", every=0.1)
    return job


def wait_ms(job: Job) -> float:
    """From the last piece until the merge. Raises RuntimeError where the pieces were done before the cut."""
    ended = {
        stage: Unit.objects.filter(job=job, stage=stage).order_by("-finished").values_list("finished", flat=True)[0]
        for stage in ("cut", "transcribe")
    }
    begun = Attempt.objects.filter(unit__job=job, unit__stage="merge").earliest("started").started
    last = ended["transcribe"]
    if last is None or ended["cut"] is None or last < ended["cut"]:
        raise RuntimeError(f"job {job.pk} was heard before it was cut: no canvas was sent")
    return float((begun - last).total_seconds() * 1000)


def measure(recordings: int, number: int) -> dict[str, list[float]]:
    """One round: the milliseconds of each sort."""
    found: dict[str, list[float]] = {metric: [] for metric in SORTS}
    for one in range(recordings):
        for metric, title in SORTS.items():
            seed = Job.objects.count() + 1000 * number + one
            found[metric].append(wait_ms(merged(title, seed)))
    return found


def main() -> None:
    """Measures, prints, writes."""
    arguments = harness.arguments(__doc__)
    arguments.add_argument("--recordings", type=int, default=4, help="of each sort, in each round")
    chosen = arguments.parse_args()
    with ensure_running(DATA_DIRECTORY, linger_seconds=5):
        call_command("migrate", verbosity=0)
        establish_hub(DATA_DIRECTORY, "http://127.0.0.1:9")
        with harness.worker(NODE, slots=SLOTS, include="benchmarks.silent_joins", **PLUG_INS):
            harness.wait_until(Node.objects.filter(name=NODE, hold_reason="").exists, 120, "the node", every=0.2)
            measure(1, 0)
            rounds = harness.rounds(chosen.rounds, lambda number: measure(chosen.recordings, number))
    stop(DATA_DIRECTORY)
    metrics = harness.medians(
        [{metric: statistics.median(times) for metric, times in one.found.items()} for one in rounds], digits=1
    )
    heading = harness.title(f"The merge after the last of {SECONDS / PIECE_SECONDS:.0f} pieces", BARS)
    harness.print_table(heading, ("metric", "value"), list(metrics.items()))

    def draw(axes: Any) -> None:
        for metric in SORTS:
            times = sorted(ms for one in rounds for ms in one.found[metric])
            axes.step(times, np.arange(1, len(times) + 1) / len(times), where="post", label=metric)
        axes.set(xlabel="last piece to merge (ms)", ylabel="share", title="How soon a merge begins", xscale="log")
        axes.legend()

    found = [{metric: [round(ms, 1) for ms in times] for metric, times in one.found.items()} for one in rounds]
    details = {"recordings": chosen.recordings, "slots": SLOTS, "rounds": found}
    loads = [one.load for one in rounds]
    harness.publish("canvas", metrics, details, draw, bars=BARS, loads=loads, strict=chosen.strict)
