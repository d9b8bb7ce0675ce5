"""Whose turn it is to bring a model, and what a node takes from the hub."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace
from typing import Any, cast

import pytest
from django.db import InterfaceError, OperationalError
from django.utils import timezone

from clustercore.config.environment import set_variables
from clustercore.nodes.adapters.hardware import read_hardware
from clustercore.nodes.adapters.hub_models import HubModels
from clustercore.nodes.adapters.model_sources import ignore_progress
from clustercore.nodes.adapters.model_store import list_models, pull_from_hub
from clustercore.nodes.domain.hooks import Agent
from clustercore.nodes.domain.model_catalogue import ModelStoreError
from clustercore.nodes.domain.model_record import checked_files
from clustercore.nodes.models import ModelPull, Node, PullState
from clustercore.nodes.selectors import node_statuses
from clustercore.nodes.services import model_pulls
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

    def test_a_wish_that_is_replaced_as_it_begins_is_left_to_its_successor(self, tmp_path: Path) -> None:
        start_node(WORKSTATION)
        ask_for_model(LABEL, [WORKSTATION])
        seen = ModelPull.objects.get()
        ask_for_model(LABEL, [WORKSTATION])
        assert not model_pulls._begun(seen)
        assert model_pulls._begun(ModelPull.objects.get())
        assert ModelPull.objects.get().state == PullState.PULLING

    def test_what_ended_is_told_for_a_day_and_then_forgotten(self, tmp_path: Path) -> None:
        node = start_node(WORKSTATION)
        states = {"done": 25, "failed": 25, "asked": 25, "pulling": 25, "fresh": 23}
        for name, hours in states.items():
            state = PullState.DONE if name == "fresh" else PullState(name)
            asked = timezone.now() - timedelta(hours=hours)
            ModelPull.objects.create(node=node, label=f"e:{name}", state=state, asked=asked)
        [standing] = node_statuses()
        assert [pull.label for pull in standing.pulls] == ["e:asked", "e:pulling", "e:fresh"]
        puller = ModelPuller()
        puller._due = float("inf")
        puller.on_tick(cast(Agent, agent_of(node, tmp_path)))
        assert set(ModelPull.objects.values_list("label", flat=True)) == {"e:asked", "e:pulling", "e:fresh"}

    @pytest.mark.parametrize("label", ["vosk:vosk-model-" + "x" * 300, "e" * 300 + ":small"])
    def test_a_label_that_is_too_long_is_refused(self, label: str) -> None:
        start_node(WORKSTATION)
        with pytest.raises(ModelStoreError, match="characters at most") as caught:
            ask_for_model(label, [WORKSTATION])
        assert caught.value.code == "label_invalid"
        assert len(caught.value.message) < 200

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


def test_the_proxy_of_the_environment_is_not_asked_for_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with model_server(served(CONTENT, {"files": recorded(CONTENT)})) as hub:
        models = HubModels(hub.url, lambda place: f"/models/{place}")
        assert pull_from_hub(OWN, tmp_path, 1.0, models, ignore_progress).verified == dict.fromkeys(CONTENT, "hub")


@pytest.mark.parametrize("refused_file", ["checksums.json", "model.bin"])
def test_what_the_hub_refuses_is_told_without_the_signature_and_without_advice_about_tokens(
    tmp_path: Path, refused_file: str
) -> None:
    def sign(place: str) -> str:
        return f"/models/{place}" + ("?expires=1&signature=5ec4e7" if place.endswith(refused_file) else "")

    with model_server(served(CONTENT, {"files": recorded(CONTENT)})) as hub:
        hub.statuses = {f"/models/faster-whisper/own/{refused_file}?expires=1&signature=5ec4e7": 403}
        with pytest.raises(ModelStoreError) as caught:
            pull_from_hub(OWN, tmp_path, 1.0, HubModels(hub.url, sign), ignore_progress)
    assert "the hub answered 403" in caught.value.message
    assert caught.value.message.endswith(f"for {refused_file}")


class TestALedgerThatIsAway:
    @pytest.fixture(autouse=True)
    def at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(model_pulls, "LOOK_SECONDS", 0.0)
        monkeypatch.setattr(model_pulls, "connection", SimpleNamespace(close=lambda: None))

    @pytest.mark.parametrize("failure", [OperationalError, InterfaceError])
    def test_it_is_asked_until_it_answers(self, failure: type[Exception]) -> None:
        answers: list[Any] = [failure("away"), failure("still away"), "the hub"]

        def ask() -> str:
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return str(answer)

        assert model_pulls._heard(ask, Event()) == "the hub"

    def test_a_node_that_stops_waits_for_it_no_longer(self) -> None:
        stopping = Event()
        stopping.set()

        def ask() -> str:
            raise InterfaceError("away")

        with pytest.raises(model_pulls.PullStopped):
            model_pulls._heard(ask, stopping)

    @pytest.mark.parametrize("failure", [OperationalError, InterfaceError])
    def test_how_far_a_pull_is_need_not_be_told(
        self, failure: type[Exception], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fails(**columns: object) -> None:
            raise failure("away")

        monkeypatch.setattr(ModelPull, "objects", SimpleNamespace(filter=fails))
        model_pulls._Progress(ModelPull(pk=1, label=LABEL), Event()).show("model.bin", 1, 2)


def test_a_pull_ends_where_it_tells_how_far_it_is_once_its_node_stops() -> None:
    stopping = Event()
    stopping.set()
    progress = model_pulls._Progress(ModelPull(pk=1, label=LABEL), stopping)
    with pytest.raises(model_pulls.PullStopped):
        progress.show("model.bin", 1, 2)
    with pytest.raises(model_pulls.PullStopped):
        progress.tell("another source")


def test_a_node_that_stops_ends_its_pull_and_leaves_the_wish_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = Event()
    ends: list[dict[str, Any]] = []

    def bring(label: str, progress: Any, stopping: Event) -> None:
        begun.set()
        assert stopping.wait(30)
        progress.show("model.bin", 1, 2)

    monkeypatch.setattr(model_pulls, "next_pull", lambda node_id: ModelPull(pk=1, label=LABEL))
    monkeypatch.setattr(model_pulls, "_begun", lambda wanted: True)
    monkeypatch.setattr(model_pulls, "_bring", bring)
    monkeypatch.setattr(model_pulls, "_note_end", lambda *words, **columns: ends.append(columns))
    puller, agent = ModelPuller(), cast(Agent, SimpleNamespace(node_id=1))
    puller._forget_due = float("inf")
    puller.on_tick(agent)
    assert begun.wait(30)
    puller.on_hand_back(agent)
    assert puller._thread is not None
    puller._thread.join(30)
    assert not puller._thread.is_alive()
    assert ends == []


def test_a_pull_that_does_not_end_keeps_a_node_that_stops_from_nothing() -> None:
    puller, reads = ModelPuller(), Event()
    puller._thread = Thread(target=reads.wait, args=[30])
    puller._thread.start()
    began = time.monotonic()
    puller.on_hand_back(cast(Agent, SimpleNamespace(node_id=1)))
    assert time.monotonic() - began < 0.5
    assert puller._stopping.is_set()
    reads.set()
    puller._thread.join(30)


class TestFallingBack:
    """Where else a node looks when the hub does not give a model."""

    @pytest.fixture(autouse=True)
    def empty_machine(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        monkeypatch.setenv("CLUSTERCORE_MODELS_DIR", str(tmp_path / "models"))
        set_variables({})
        monkeypatch.setattr(model_pulls, "_hub_models", lambda stopping: None)
        yield
        monkeypatch.undo()
        set_variables({})

    def bring(self, label: str, code: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """Returns what other sources were asked for, after the hub failed with `code`."""
        asked: list[str] = []

        def fails(*arguments: object) -> None:
            raise ModelStoreError(code, "the hub's failure")

        monkeypatch.setattr(model_pulls, "pull_from_hub", fails)
        monkeypatch.setattr(model_pulls, "pull", lambda label, *arguments, **options: asked.append(label))
        model_pulls._bring(label, model_pulls._Progress(ModelPull(pk=1, label=label), Event()), Event())
        return asked

    @pytest.mark.parametrize(
        "code", ["model_missing", "no_connection", "download_refused", "download_interrupted", "model_corrupt"]
    )
    def test_whatever_the_hub_fails_with_other_sources_are_asked(
        self, code: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert self.bring(LABEL, code, monkeypatch) == [LABEL]

    @pytest.mark.parametrize("code", ["budget_exceeded", "disk_full"])
    def test_what_this_machine_lacks_no_other_source_gives(self, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(ModelStoreError, match="the hub's failure"):
            self.bring(LABEL, code, monkeypatch)

    def test_of_a_model_that_only_the_hub_can_have_the_hubs_failure_is_told(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with pytest.raises(ModelStoreError, match="the hub's failure"):
            self.bring(OWN, "download_interrupted", monkeypatch)


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
