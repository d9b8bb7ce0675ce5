"""A setting that cannot be right is said by its name, with what to do; never as a bug."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from clustercore.config.adapters.rooms import further_rooms
from clustercore.config.environment import Environment, environment
from clustercore.project.command_line.commands import commands, rooms_with_commands
from clustercore.project.command_line.failures import debug_is_set, explain
from clustercore.terminal.domain.endings import ExitCode


@pytest.fixture(autouse=True)
def settings_read_anew() -> Iterator[None]:
    environment.cache_clear()
    yield
    environment.cache_clear()


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("not json", "CLUSTERCORE_ROOMS: this is no JSON"),
        ('["nosuch.room"]', "CLUSTERCORE_ROOMS: no package 'nosuch.room' is installed here"),
        ('["os"]', "CLUSTERCORE_ROOMS: no package 'os' is installed here"),
        ('["", "a b"]', "CLUSTERCORE_ROOMS: no package '' is installed here"),
        ('{"a": 1}', "CLUSTERCORE_ROOMS: "),
    ],
)
def test_rooms_that_cannot_be_had_are_told_and_keep_the_list_of_commands(
    monkeypatch: pytest.MonkeyPatch, value: str, told: str
) -> None:
    monkeypatch.setenv("CLUSTERCORE_ROOMS", value)
    with pytest.raises(Exception, match=r"rooms|ROOMS") as caught:
        Environment()
    explained = explain(caught.value)
    assert explained is not None
    assert (explained[0].startswith(told), explained[1]) == (True, ExitCode.USAGE)
    assert not debug_is_set()
    assert {command.name for command in commands()} >= {"up", "jobs"}
    assert rooms_with_commands()


def test_rooms_that_are_installed_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLUSTERCORE_ROOMS", '["tests.fakes.rooms.lines"]')
    assert Environment().rooms == further_rooms() == ("tests.fakes.rooms.lines",)
    assert "tests.fakes.rooms.lines.commands" in {room.__name__ for room in rooms_with_commands()}
