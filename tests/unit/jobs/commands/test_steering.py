"""`rm` asks before it deletes, where somebody is there to answer."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from clustercore.jobs.commands import steering


class Terminal:
    """A standard stream that says whether it is a terminal."""

    def __init__(self, stream: object, is_terminal: bool) -> None:
        self._stream, self._is_terminal = stream, is_terminal

    def isatty(self) -> bool:
        return self._is_terminal

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


@pytest.fixture
def removed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The jobs that were removed."""
    found: list[int] = []

    def remove(ids: list[int], *_: object, **__: object) -> int:
        found.extend(ids)
        return 0

    monkeypatch.setattr(steering, "_for_each", remove)
    return found


@pytest.fixture
def on_a(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    def use(is_terminal: bool) -> None:
        for name in ("stdin", "stdout"):
            monkeypatch.setattr(sys, name, Terminal(getattr(sys, name), is_terminal))

    return use


@pytest.mark.parametrize(
    ("is_terminal", "yes", "agreed", "expected"),
    [(True, False, False, []), (True, False, True, [7]), (True, True, False, [7]), (False, False, False, [7])],
)
def test_on_a_terminal_it_asks_unless_told_not_to(
    removed: list[int],
    on_a: Callable[[bool], None],
    monkeypatch: pytest.MonkeyPatch,
    is_terminal: bool,
    yes: bool,
    agreed: bool,
    expected: list[int],
) -> None:
    on_a(is_terminal)
    monkeypatch.setattr(steering, "_agreed", lambda ids: agreed)
    assert steering.remove([7], yes=yes) == 0
    assert removed == expected
