"""What the words of a command line do to the environment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from clustercore.config.environment import Environment
from clustercore.project.command_line.startup import data_directory_variable, parse_command_line, variables_of
from clustercore.terminal.domain.endings import CommandError

SETTINGS = Environment(data_dir=Path("/data"))


@pytest.mark.parametrize(
    "words",
    [
        ["--data-dir", "/elsewhere", "jobs", "--json"],
        ["jobs", "--json", "--data-dir=/elsewhere"],
        ["jobs", "--data-dir", "/elsewhere", "--json"],
    ],
)
def test_the_data_directory_may_be_said_anywhere(words: list[str]) -> None:
    line = parse_command_line(words)

    assert line.words == ("jobs", "--json")
    assert data_directory_variable(line) == {"CLUSTERCORE_DATA_DIR": "/elsewhere"}


def test_a_file_that_is_named_like_an_option_is_left_alone() -> None:
    line = parse_command_line(["transcribe", "--", "--debug", "--data-dir"])

    assert line.words == ("transcribe", "--", "--debug", "--data-dir")
    assert not line.debug
    assert data_directory_variable(line) == {}


def test_a_data_directory_without_a_value_is_refused() -> None:
    with pytest.raises(CommandError, match="--data-dir needs a directory"):
        data_directory_variable(parse_command_line(["jobs", "--data-dir"]))


def test_a_node_takes_its_name_and_slots_into_its_environment() -> None:
    line = parse_command_line(["node", "--name=second", "--slots", "3"])

    assert variables_of(line, SETTINGS) == {"CLUSTERCORE_NODE_NAME": "second", "CLUSTERCORE_SLOTS": "3"}


def test_a_node_without_flags_keeps_its_environment() -> None:
    assert variables_of(parse_command_line(["node"]), SETTINGS) == {}


def test_the_demo_has_a_data_directory_of_its_own_and_shares_the_models() -> None:
    variables = variables_of(parse_command_line(["demo"]), SETTINGS)

    assert variables["CLUSTERCORE_DATA_DIR"] == "/data/demo"
    assert variables["CLUSTERCORE_MODELS_DIR"] == "/data/models"


def test_the_demos_nodes_share_the_processors_unless_their_threads_were_set() -> None:
    shared = variables_of(parse_command_line(["demo"]), SETTINGS)["CLUSTERCORE_ENGINE_THREADS"]
    assert 1 <= int(shared or 0) <= max(1, (os.cpu_count() or 1) // 2)
    chosen = SETTINGS.model_copy(update={"engine_threads": 7})
    assert variables_of(parse_command_line(["demo"]), chosen)["CLUSTERCORE_ENGINE_THREADS"] == "7"


def test_the_demo_never_reaches_the_cluster_that_the_environment_names() -> None:
    variables = variables_of(parse_command_line(["demo"]), SETTINGS)

    assert variables["DATABASE_URL"] is None
    assert variables["REDIS_URL"] is None
