"""Jobs whose submitter dies, and jobs that nobody can do yet."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from clustercore.jobs.models import Job
from clustercore.nodes.models import Node
from tests.cast import LAPTOP, PI, WORKSTATION
from tests.fakes.transcription.engines.tiny_whisper import SMALLEST, write_tiny_whisper
from tests.faults.cluster import Cluster, pieces_of
from tests.faults.conftest import Record
from tests.faults.recording import Recording
from tests.faults.waiting import until
from tests.faults.workers import ROOT
from transcription.models import Segment

pytestmark = pytest.mark.services

STARTED_SECONDS = 60.0
SUBMIT = """
import sys
import django
django.setup()
from pathlib import Path
import tests.faults.failpoints
from transcription.services.submit import Wishes, submit_transcription
wishes = Wishes(language="en", piece_seconds=2.0, idempotency_key="killed")
submit_transcription(None, Path(sys.argv[1]), "killed.flac", wishes)
"""
SAMPLES = ROOT / "transcription" / "samples"
CLIP = Recording(SAMPLES / "clip.flac", ())
CONVERSATION = Recording(SAMPLES / "conversation.opus", ())
MEDIA = "transcription.adapters.media:MediaCutter"
POCKETSPHINX = "transcription.adapters.engines.pocketsphinx:PocketSphinx"
WHISPER = "transcription.adapters.engines.faster_whisper:FasterWhisper"
TIERS = json.dumps({"stt": ["faster-whisper:*", "vosk:*", "pocketsphinx:*"]})


def test_a_job_whose_submitter_was_killed_before_it_rang_starts_by_itself(
    cluster: Cluster, recordings: Callable[[str], Recording], record: Record
) -> None:
    """F20: the row is committed, the bell never sent."""
    cluster.start(WORKSTATION, LAPTOP)
    recording = recordings("short")
    cluster.sha_undisturbed(recording)
    cluster.pull(**{"die-before-ringing": "transcription.cut"})
    since = time.time()
    environment = cluster.worker_environment("submitter", {})
    command = [sys.executable, "-c", SUBMIT, str(recording.path)]
    submitter = subprocess.run(command, env=environment, cwd=ROOT, check=False, capture_output=True, timeout=60)
    killed_at = time.time()
    assert submitter.returncode == -signal.SIGKILL, submitter.stderr.decode()
    job = Job.objects.get(idempotency_key="killed")
    until(lambda: job.units.filter(attempts_made=1).exists(), STARTED_SECONDS, "the job did not start by itself")
    started_after = time.time() - killed_at
    cluster.until_done(job)
    seen = cluster.judge({job.pk: recording}, since)
    record("F20", **seen.as_json(), started_after_s=round(started_after, 2))
    seen.assert_unharmed()


@pytest.mark.timeout(240)
def test_a_job_waits_for_an_able_node_and_a_better_node_keeps_guesses_out(
    cluster: Cluster, record: Record, tmp_path: Path
) -> None:
    """Real engines: PocketSphinx alone, then beside a model of Whisper's shape."""
    cluster.stop(WORKSTATION)
    cluster.start(LAPTOP)
    job = cluster.submit(CLIP, engine="pocketsphinx")
    said = until(lambda: waiting_of(job), 30, "the job does not say why it waits")
    assert "pocketsphinx" in said and "`clustercore models list" in said
    began = time.time()
    cluster.start(PI, **real(POCKETSPHINX))
    until(lambda: pieces_of(job).filter(attempts_made__gt=0).exists(), 30, "it did not start by itself")
    started_after = time.time() - began
    cluster.until_done(job)
    assert served(job, "engine") == {"pocketsphinx"}
    cluster.stop(LAPTOP)
    write_tiny_whisper(tmp_path / "faster-whisper" / "tiny", shape=SMALLEST, maximum_tokens=30)
    cluster.start(WORKSTATION, CLUSTERCORE_MODELS_DIR=str(tmp_path), **real(WHISPER))
    better = cluster.submit(CONVERSATION, piece_seconds=5.0)
    idle = until(lambda: Node.objects.get(name=PI).idle_reason, 60, "the idle node does not say why")
    cluster.until_done(better, 120)
    anything = cluster.submit(CONVERSATION, piece_seconds=5.0, quality="any")
    cluster.until_done(anything, 120)
    cluster.stop(WORKSTATION, PI)
    record(
        "no-able-node",
        waiting=said,
        started_after_s=round(started_after, 2),
        idle_reason=idle,
        engines=sorted(served(better, "engine")),
        engines_any=sorted(served(anything, "engine")),
    )
    assert served(better, "engine") == {"faster-whisper"}
    assert served(better, "node_name") == {WORKSTATION}
    assert "pocketsphinx" in idle and "faster-whisper" in idle and WORKSTATION in idle
    assert "pocketsphinx" in served(anything, "engine")


def real(engine: str) -> dict[str, str]:
    """A node that cuts, and hears with this engine only."""
    return {
        "CLUSTERCORE_ENGINES": json.dumps([MEDIA, engine]),
        "CLUSTERCORE_TIERS": TIERS,
        # A real engine on a busy machine is silent for longer than the puppets.
        "CLUSTERCORE_SILENT_RUNNER_SECONDS": "60",
    }


def waiting_of(job: Job) -> str:
    """Why nothing of it runs."""
    job.refresh_from_db()
    return job.waiting if pieces_of(job).exists() else ""


def served(job: Job, what: str) -> set[str]:
    """The different engines, or nodes, of a job's segments, and of its pieces where nothing was heard."""
    segments = set(Segment.objects.filter(recording__job=job).values_list(what, flat=True))
    field = {"engine": "engine", "node_name": "node"}[what]
    return segments | {piece.result[field] for piece in pieces_of(job) if piece.result}
