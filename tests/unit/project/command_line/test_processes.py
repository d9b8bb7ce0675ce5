"""The processes of a hub, declared as programs like its servers."""

from __future__ import annotations

import pytest

from clustercore.config.environment import environment
from clustercore.config.interpreter import child_variables
from clustercore.embedded.adapters.program import Program
from clustercore.project.command_line.processes import flower_program, node_program, web_program


@pytest.mark.parametrize(
    ("ours", "inherited"),
    [
        ("clustercore.project.ledger_settings", None),
        ("home.settings", "home.settings"),
        ("clustercore2.settings", "clustercore2.settings"),
    ],
)
def test_a_child_chooses_which_of_our_settings_it_loads_and_inherits_anybody_elses(
    ours: str, inherited: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", ours)
    assert child_variables({}).get("DJANGO_SETTINGS_MODULE") == inherited


def test_only_the_web_process_inherits_the_key_that_signs_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLUSTERCORE_SECRET_KEY", "k" * 60)
    given = [program.environment.get("CLUSTERCORE_SECRET_KEY") for program in _programs()]
    assert given == ["k" * 60, None, None]


def test_a_node_is_given_its_name_its_slots_and_its_grace() -> None:
    node = node_program("night/shift", 3)
    assert (node.environment["CLUSTERCORE_NODE_NAME"], node.environment["CLUSTERCORE_SLOTS"]) == ("night/shift", "3")
    assert node.log.name == "node-night_shift.log"
    assert node.stop_signals[0][1] > environment().grace_seconds
    assert not node.is_needed_last


def test_flower_alone_waits_until_somebody_asks_for_it() -> None:
    assert [program.demand is not None for program in _programs()] == [False, True, False]


def _programs() -> list[Program]:
    return [web_program(0), flower_program(), node_program(None, None)]
