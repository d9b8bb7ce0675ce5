"""A model is brought to machines from the page: each asks the hub, which has it, and says how far it is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from clustercore.access.models import AuditEntry
from clustercore.nodes.adapters.model_store import list_models, pull
from clustercore.nodes.models import ModelPull, NodeModel, PullState
from tests.cast import LAPTOP, WORKSTATION
from tests.conftest import DATA_DIRECTORY
from tests.fakes.transcription.engines.tiny_whisper import SMALLEST, write_tiny_whisper
from tests.faults.waiting import until
from tests.web.hub import Hub

LABEL = "faster-whisper:random"
ENGINES = [
    "transcription.adapters.media:MediaCutter",
    "tests.faults.puppet:Puppet",
    "transcription.adapters.engines.faster_whisper:FasterWhisper",
]
NODES = (WORKSTATION, LAPTOP)


@pytest.fixture
def hubs_model(tmp_path: Path) -> Iterator[Path]:
    """A tiny model with random weights in the hub's own store."""
    source = write_tiny_whisper(tmp_path / "source", shape=SMALLEST)
    yield pull(LABEL, DATA_DIRECTORY / "models", 1.0, source=str(source)).folder
    shutil.rmtree(DATA_DIRECTORY / "models", ignore_errors=True)


def told(response: httpx.Response) -> str:
    assert response.status_code == 200
    return response.text


def bring(client: httpx.Client, label: str, *nodes: str) -> httpx.Response:
    form = {"label": label, "node": list(nodes), "csrfmiddlewaretoken": client.cookies["csrftoken"]}
    return client.post("/models/", data=form, follow_redirects=True)


def test_a_model_that_the_hub_has_comes_to_two_machines_over_the_local_network(
    hub: Hub, hubs_model: Path, tmp_path: Path
) -> None:
    stores = {name: tmp_path / f"models of {name}" for name in NODES}
    for name, store in stores.items():
        hub.cluster.start(name, CLUSTERCORE_MODELS_DIR=str(store), CLUSTERCORE_ENGINES=json.dumps(ENGINES))
    with hub.signed_in("otto") as client:
        page = told(client.get("/nodes/"))
        assert LABEL in page
        assert "will bring" in told(bring(client, LABEL, *NODES))
        until(lambda: ModelPull.objects.filter(state=PullState.DONE).count() == 2, 60, _how_far)
        page = told(client.get("/nodes/"))
        assert page.count(f"{LABEL} was brought") == 2
    for pulled in ModelPull.objects.all():
        assert pulled.message.startswith("the hub at http")
        assert pulled.done_bytes == pulled.total_bytes > 0
    for store in stores.values():
        [found] = list_models(store, verify=True)
        assert (found.label, found.state) == (LABEL, "verified")
    assert AuditEntry.objects.filter(action="nodes.pull_model").count() == 2
    usable = NodeModel.objects.filter(engine="faster-whisper", model="random", capability="stt", usable=True)
    until(lambda: usable.count() == 2, 60, lambda: "the machines do not list the model")


def test_a_viewer_may_not_bring_a_model_and_is_not_offered_one(hub: Hub) -> None:
    with hub.signed_in("vera") as client:
        assert "Bring a model" not in told(client.get("/nodes/"))
        assert bring(client, "faster-whisper:tiny.en", WORKSTATION).status_code == 403
    assert not ModelPull.objects.filter(label="faster-whisper:tiny.en").exists()


def test_a_model_that_nobody_knows_is_refused_with_the_reason(hub: Hub) -> None:
    with hub.signed_in("otto") as client:
        assert "no model" in told(bring(client, "faster-whisper:nonsense", WORKSTATION))
    assert not ModelPull.objects.filter(label="faster-whisper:nonsense").exists()


def test_without_the_hubs_signature_no_file_of_a_model_is_given_out(hub: Hub, hubs_model: Path) -> None:
    address = f"{hub.url}/models/faster-whisper/random/model.bin"
    assert httpx.get(address).status_code == 403
    assert httpx.get(f"{address}?expires=99999999999&signature={'0' * 64}").status_code == 403


def _how_far() -> str:
    return "; ".join(f"{one}: {one.message}" for one in ModelPull.objects.all())
