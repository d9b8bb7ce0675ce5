"""How long whoever asks for a short transcript waits beyond its engine: by REST, by the OpenAI API, and at a page.

A hub as a person runs it: its servers, the web process, and one node, whose plug-in engine answers at once, so that all
that is measured is the cluster's. Each request brings five seconds of sound that no other has. `rest`: a `POST` of the
recording, then a `GET` of its job with `wait`; `openai`: `POST /v1/audio/transcriptions`; `page`: a `POST`, until the
page that follows the job over its WebSocket, open before, is told that it is done.

    python -m benchmarks latency [--runs 30] [--rounds 3] [--strict]
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from websockets.asyncio.client import connect

from benchmarks import harness
from clustercore.access.domain.roles import Permission, Role
from clustercore.access.services.tokens import create_token
from clustercore.blobs.services import establish_hub
from clustercore.embedded.services import ensure_running, stop
from clustercore.jobs.models import Job, Unit
from clustercore.nodes.models import NodeModel
from clustercore.project.web import command
from transcription.adapters.flac import write_flac
from transcription.domain.sampling import SAMPLE_RATE

DATA_DIRECTORY = harness.data_directory()

NODE = "bench"
CLIP_SECONDS = 5
WARM_UP = 3
WAIT_SECONDS = 30
WAYS = ("rest", "openai", "page")
BARS: harness.Bars = {
    f"request_minus_engine_ms_{way}_{name}": ("<=", limit)
    for way in WAYS
    for name, limit in (("p50", 60.0), ("p95", 150.0))
}
PLUG_INS = {
    "CLUSTERCORE_ENGINES": json.dumps(["transcription.adapters.media:MediaCutter", "benchmarks.quick_engine:Quick"]),
    "CLUSTERCORE_TIERS": json.dumps({"stt": ["quick:*"]}),
}


@dataclass(frozen=True, slots=True)
class Hub:
    """The web process, as a person's programs reach it."""

    port: int
    token: str
    client: httpx.Client


class Clips:
    """Recordings of noise, each unlike all others."""

    def __init__(self) -> None:
        self._noise = np.random.default_rng(5)

    def next(self) -> bytes:
        """One as a FLAC file."""
        path = Path(DATA_DIRECTORY) / "clip.flac"
        write_flac(path, self._noise.integers(-2000, 2000, CLIP_SECONDS * SAMPLE_RATE).astype(np.int16))
        return path.read_bytes()


@dataclass(frozen=True, slots=True)
class Answered:
    """A request whose job is done, and when it was sent and answered, in seconds of the clock on the wall."""

    job_id: int
    sent: float
    answered: float


def by_rest(hub: Hub, clip: bytes) -> Answered:
    """As the API's documents tell: submit, and ask for the job with `wait`."""
    sent = time.time()
    job_id = _submitted(hub, clip)
    job = hub.client.get(f"/api/v1/jobs/{job_id}", params={"wait": WAIT_SECONDS}).json()
    answered = time.time()
    if job["state"] != "done":
        raise RuntimeError(f"job {job_id} is {job['state']}: {job['error']}")
    return Answered(job_id, sent, answered)


def by_openai(hub: Hub, clip: bytes) -> Answered:
    """One request, which is answered with the text."""
    sent = time.time()
    answer = hub.client.post(
        "/v1/audio/transcriptions",
        data={"model": "whisper-1", "language": "en"},
        files={"file": ("clip.flac", io.BytesIO(clip))},
    )
    answered = time.time()
    if answer.status_code != 200 or "word" not in answer.json()["text"]:
        raise RuntimeError(f"no transcript: {answer.status_code} {answer.text}")
    return Answered(int(answer.headers["X-Clustercore-Job"]), sent, answered)


def by_page(hub: Hub, clip: bytes) -> Answered:
    """Submitted by REST, and followed as a page does."""
    return asyncio.run(_by_page(hub, clip))


async def _by_page(hub: Hub, clip: bytes) -> Answered:
    address, headers = f"ws://127.0.0.1:{hub.port}/live", {"Authorization": f"Bearer {hub.token}"}
    async with connect(address, additional_headers=headers, compression=None, proxy=None) as page:
        await page.send(json.dumps({"follow": ["nodes"]}))
        await page.recv()
        sent = time.time()
        job_id = await asyncio.to_thread(_submitted, hub, clip)
        await page.send(json.dumps({"follow": [f"job:{job_id}"]}))
        async with asyncio.timeout(WAIT_SECONDS):
            while not _shows_done(json.loads(await page.recv()), job_id):
                pass
        return Answered(job_id, sent, time.time())


def _shows_done(message: Mapping[str, Any], job_id: int) -> bool:
    return 'data-state="done"' in message.get("html", {}).get(f"job-{job_id}-status", "")


def _submitted(hub: Hub, clip: bytes) -> int:
    answer = hub.client.post(
        "/api/v1/transcriptions", data={"language": "en"}, files={"file": ("clip.flac", io.BytesIO(clip))}
    )
    answer.raise_for_status()
    return int(answer.json()["id"])


ASK: Mapping[str, Callable[[Hub, bytes], Answered]] = {"rest": by_rest, "openai": by_openai, "page": by_page}


def steps_of(answered: Answered) -> dict[str, float]:
    """When each thing was in the ledger and at the client, in milliseconds since the request was sent."""
    job = Job.objects.get(pk=answered.job_id)
    moments: dict[str, datetime | None] = {"submitted": job.created}
    for unit in Unit.objects.filter(job=job).order_by("id"):
        moments[f"{unit.stage} queued"] = unit.created
        moments[f"{unit.stage} taken"] = unit.leased_at
        moments[f"{unit.stage} done"] = unit.finished
    moments["job done"] = job.finished
    steps = {name: at.timestamp() - answered.sent for name, at in moments.items() if at is not None}
    steps["answered"] = answered.answered - answered.sent
    return {name: seconds * 1000 for name, seconds in sorted(steps.items(), key=lambda step: step[1])}


Steps = dict[str, list[dict[str, float]]]
"""By way, the steps of each request."""


def measure(hub: Hub, clips: Clips, runs: int) -> Steps:
    """All ways in turn, so that whatever else the machine does falls on all of them."""
    found: Steps = {way: [] for way in WAYS}
    for _ in range(runs):
        for way in WAYS:
            found[way].append(steps_of(ASK[way](hub, clips.next())))
    return found


def metrics_of(found: Steps) -> dict[str, float]:
    """The middle and the slow ones of each way."""
    metrics = {}
    for way, asked in found.items():
        values = [steps["answered"] for steps in asked]
        for name, fraction in (("p50", 0.5), ("p95", 0.95)):
            metrics[f"request_minus_engine_ms_{way}_{name}"] = round(harness.quantile(values, fraction), 1)
    return metrics


def middle_of(asked: list[dict[str, float]]) -> dict[str, float]:
    """When each step was reached, in the middle of all requests."""
    return {name: round(statistics.median(steps[name] for steps in asked if name in steps), 1) for name in asked[0]}


def main() -> None:
    """Measures, prints, writes."""
    arguments = harness.arguments(__doc__)
    arguments.add_argument("--runs", type=int, default=30, help="requests of each way a round")
    chosen = arguments.parse_args()
    os.environ.update(PLUG_INS)
    port = harness.free_port()
    with ensure_running(DATA_DIRECTORY, linger_seconds=5):
        call_command("migrate", verbosity=0)
        establish_hub(DATA_DIRECTORY, f"http://127.0.0.1:{port}")
        rounds = _rounds_on_a_hub(port, chosen.rounds, chosen.runs)
    stop(DATA_DIRECTORY)
    metrics = harness.medians([metrics_of(one.found) for one in rounds])
    last = rounds[-1].found
    details = {"runs": chosen.runs} | {way: middle_of(asked) for way, asked in last.items()}
    heading = harness.title("What a short request takes beyond its engine", BARS)
    harness.print_table(heading, ("metric", "value"), list(metrics.items()))
    for way in WAYS:
        harness.print_table(f"Reached after so many ms, {way}", ("step", "ms"), list(middle_of(last[way]).items()))

    def draw(axes: Any) -> None:
        axes.boxplot([[steps["answered"] for steps in last[way]] for way in WAYS], tick_labels=WAYS)
        axes.axhline(60, color="tab:red", label="bar of the middle")
        axes.set(ylabel="request minus engine (ms)", title="A clip of five seconds")
        axes.legend()

    loads = [one.load for one in rounds]
    harness.publish("latency", metrics, details, draw, bars=BARS, loads=loads, strict=chosen.strict)


def _rounds_on_a_hub(port: int, rounds: int, runs: int) -> list[harness.Round[Steps]]:
    owner = User.objects.create_user("asker")
    owner.groups.add(Group.objects.get(name=Role.OPERATOR.value))
    _, token = create_token(owner, "benchmark", frozenset({Permission.VIEW, Permission.SUBMIT}))
    limits = {"CLUSTERCORE_REQUESTS_PER_MINUTE": "100000"}
    with harness.web_process(command(port=port), port, **limits), harness.worker(NODE, slots=2, **PLUG_INS):
        able = NodeModel.objects.filter(node__name=NODE, node__online=True, engine="quick", usable=True)
        harness.wait_until(able.exists, 120, "the node", every=0.2)
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60, trust_env=False) as client:
            hub, clips = Hub(port, token, client), Clips()
            measure(hub, clips, WARM_UP)
            return harness.rounds(rounds, lambda _: measure(hub, clips, runs))
