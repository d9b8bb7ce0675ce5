"""Whose turn it is to bring a model, and what a node takes from the hub."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, cast

import pytest

from clustercore.nodes.adapters.hardware import read_hardware
from clustercore.nodes.adapters.hub_models import HubModels
from clustercore.nodes.adapters.model_sources import ignore_progress
from clustercore.nodes.adapters.model_store import list_models, pull_from_hub
from clustercore.nodes.domain.hooks import Agent
from clustercore.nodes.domain.model_catalogue import ModelStoreError
from clustercore.nodes.domain.model_record import checked_files
from clustercore.nodes.models import ModelPull, Node, PullState
from clustercore.nodes.services.model_pulls import ModelPuller, ask_for_model, next_pull
from tests.cast import LAPTOP, WORKSTATION, start_node, stop_node
from tests.fakes.nodes.agent import agent_of
from tests.fakes.nodes.model_server import ServedFiles, model_server

LABEL = "faster-whisper:tiny.en"
OWN = "faster-whisper:own"
CONTENT = {"model.bin": b"weights", "config.json": b"{}"}

database = [pytest.mark.services, pytest.mark.django_db(transaction=True)]


def recorded(content: dict[str, bytes]) -> dict[str, Any]:
    return {name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)} for name, data in content.items()}


def served(content: dict[str, bytes], record: Any) -> ServedFiles:
    files = {f"/models/faster-whisper/own/{name}": data for name, data in content.items()}
    return ServedFiles({**files, "/models/faster-whisper/own/checksums.json": json.dumps(record).encode()})


def refused(models: Path, files: ServedFiles) -> ModelStoreError:
    with model_server(files) as hub, pytest.raises(ModelStoreError) as caught:
        pull_from_hub(OWN, models, 1.0, HubModels(hub.url, lambda place: f"/models/{place}"), ignore_progress)
    assert list_models(models) == []
    return caught.value


class TestTurns:
    pytestmark = database

    def test_the_hubs_own_machine_goes_first_and_the_others_wait_for_it(self) -> None:
        first, second = start_node(WORKSTATION), start_node(LAPTOP)
        hardware = read_hardware()
        Node.objects.filter(pk=second.pk).update(boot_id=hardware.boot_id)
        Node.objects.filter(pk=first.pk).update(boot_id="another machine")
        assert ask_for_model(LABEL, [WORKSTATION, LAPTOP]) == [LAPTOP, WORKSTATION]
        assert next_pull(first.pk) is None
        found = next_pull(second.pk)
        assert found is not None
        ModelPull.objects.filter(pk=found.pk).update(state=PullState.DONE)
        assert next_pull(first.pk) is not None

    def test_a_machine_that_is_away_holds_up_nobody(self) -> None:
        first, second = sorted((start_node(WORKSTATION), start_node(LAPTOP)), key=lambda node: node.name)
        Node.objects.update(boot_id="another machine")
        ask_for_model(LABEL, [WORKSTATION, LAPTOP])
        assert next_pull(second.pk) is None
        stop_node(first)
        assert next_pull(second.pk) is not None

    def test_what_a_node_began_before_it_was_stopped_is_begun_again(self, tmp_path: Path) -> None:
        node = start_node(WORKSTATION)
        ask_for_model(LABEL, [WORKSTATION])
        ModelPull.objects.update(state=PullState.PULLING)
        assert next_pull(node.pk) is None
        ModelPuller().on_start(cast(Agent, agent_of(node, tmp_path)))
        assert next_pull(node.pk) is not None

    def test_a_model_that_nobody_knows_is_asked_of_no_one(self) -> None:
        start_node(WORKSTATION)
        with pytest.raises(ModelStoreError, match="no model"):
            ask_for_model("faster-whisper:nonsense", [WORKSTATION])
        assert not ModelPull.objects.exists()


def test_a_file_that_is_not_what_the_hubs_record_says_is_refused(tmp_path: Path) -> None:
    other = {**CONTENT, "model.bin": b"waights"}
    assert refused(tmp_path, served(other, {"files": recorded(CONTENT)})).code == "model_corrupt"


def test_of_the_hubs_model_nothing_else_is_taken_and_no_tag_of_a_folder_is_left(tmp_path: Path) -> None:
    content = {**CONTENT, "am/final.mdl": b"m"}
    left = tmp_path / "faster-whisper" / ".partial" / "own"
    left.mkdir(parents=True)
    (left / "tokenizer.json").write_bytes(b"of somebody else")
    with model_server(served(content, {"files": recorded(content)})) as hub:
        pulled = pull_from_hub(
            OWN, tmp_path, 1.0, HubModels(hub.url, lambda place: f"/models/{place}"), ignore_progress
        )
    found = {path.relative_to(pulled.folder).as_posix() for path in pulled.folder.rglob("*") if path.is_file()}
    assert found == {*content, "checksums.json"}
    assert pulled.verified == dict.fromkeys(content, "hub")


def test_a_model_that_the_hub_lacks_is_told_apart_from_a_hub_that_is_away(tmp_path: Path) -> None:
    assert refused(tmp_path, ServedFiles({})).code == "model_missing"
    with model_server(ServedFiles({})) as gone:
        address = gone.url
    with pytest.raises(ModelStoreError) as caught:
        pull_from_hub(OWN, tmp_path, 1.0, HubModels(address, lambda place: f"/models/{place}"), ignore_progress)
    assert caught.value.code == "no_connection"


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", ".hidden", "a/../../b", "a\\b", ""])
def test_a_record_that_names_other_places_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no record"):
        checked_files({"files": recorded({name: b"x"})})


@pytest.mark.parametrize("document", [None, [], {}, {"files": {}}, {"files": {"a": 1}}, {"files": {"a": {"size": 1}}}])
def test_what_is_no_record_is_refused(document: Any) -> None:
    with pytest.raises(ValueError, match="no record"):
        checked_files(document)
