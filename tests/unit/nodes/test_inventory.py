from __future__ import annotations

from pathlib import Path

import pytest

from clustercore.nodes.adapters.inventory import take_inventory
from clustercore.nodes.domain.engine import Loaded, ModelRecord

ECHO = "tests.fakes.nodes.engines:Echo"
HERE = "tests.unit.nodes.test_inventory"


class Scribe:
    """An engine with three models, one of them missing its file."""

    name = "scribe"
    capability = "stt"

    def inventory(self, models_directory: Path) -> list[ModelRecord]:
        return [
            ModelRecord(capability=self.capability, engine=self.name, model="large", memory_mb=900),
            ModelRecord(capability=self.capability, engine=self.name, model="tiny"),
            ModelRecord(capability=self.capability, engine=self.name, model="gone", usable=False, reason="download it"),
        ]

    def load(self, model: str, models_directory: Path) -> Loaded:
        return Loaded("cpu")


class Quitter(Scribe):
    """Ends the whole program when asked, as careless libraries do."""

    name = "quitter"

    def inventory(self, models_directory: Path) -> list[ModelRecord]:
        raise SystemExit("wrong processor")


class Misnamed(Scribe):
    """Names a capability that no queue can have."""

    name = "misnamed"

    def inventory(self, models_directory: Path) -> list[ModelRecord]:
        return [ModelRecord(capability="Speech to text", engine=self.name, model="large")]


class Wordy(Scribe):
    """Has a model with a name that no column holds."""

    name = "wordy"

    def inventory(self, models_directory: Path) -> list[ModelRecord]:
        return [ModelRecord(capability=self.capability, engine=self.name, model="m" * 201)]


class Sloppy(Scribe):
    """Answers with something else than records."""

    name = "sloppy"

    def inventory(self, models_directory: Path) -> list[ModelRecord]:
        return ["large"]  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("plugin", "reason"),
    [
        ("tests.fakes.nodes.engines:Broken", "RuntimeError: the library is of another version"),
        ("no.such.module:Engine", "ModuleNotFoundError"),
        ("tests.fakes.nodes.engines:Missing", "AttributeError"),
        ("no colon", "not of the form package.module:Class"),
        (f"{HERE}:Quitter", "SystemExit: wrong processor"),
        (f"{HERE}:Misnamed", "cannot name a capability"),
        (f"{HERE}:Wordy", "200 (model) long"),
        (f"{HERE}:Sloppy", "holds str, not ModelRecord"),
    ],
)
def test_a_broken_plugin_is_shown_with_its_reason_and_stops_nobody(tmp_path: Path, plugin: str, reason: str) -> None:
    inventory = take_inventory([plugin, ECHO], {}, tmp_path)
    assert inventory.capabilities() == ("any", "echo")
    (broken,) = [model.record for model in inventory.models if not model.record.usable]
    assert reason in broken.reason
    assert list(inventory.plugins) == ["echo"]


@pytest.mark.parametrize("capability", ["stt", "llm"])
def test_models_stand_on_the_tiers_of_their_own_capability(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capability: str
) -> None:
    monkeypatch.setattr(Scribe, "capability", capability)
    orders = {capability: ("scribe:*large*", "scribe:*", "*:*"), "another": ("*:*", "echo:*")}
    inventory = take_inventory([f"{HERE}:Scribe", ECHO], orders, tmp_path)
    rungs = {(m.record.engine, m.record.model): m.rung for m in inventory.models}
    assert rungs == {("scribe", "large"): 2, ("scribe", "tiny"): 1, ("scribe", "gone"): 1, ("echo", "plain"): 0}


def test_a_plugin_named_twice_counts_once(tmp_path: Path) -> None:
    assert len(take_inventory([ECHO, ECHO], {}, tmp_path).models) == 1


def test_a_capability_needs_a_usable_model_and_says_what_it_takes(tmp_path: Path) -> None:
    inventory = take_inventory([f"{HERE}:Scribe"], {}, tmp_path)
    assert inventory.memory_mb("scribe", "large") == 900
    assert inventory.memory_mb("scribe", "unheard of") == 0
    assert [record.model for record in inventory.usable()] == ["large", "tiny"]
