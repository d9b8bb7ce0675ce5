"""Which warm runner is taken, and which must end for another one to start."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from clustercore.nodes.adapters.runner_process import RunnerOrder
from clustercore.nodes.adapters.warm_runners import WarmRunners

MORE_THAN_THERE_IS = 1 << 40


@dataclass(eq=False)
class FakeProcess:
    """A runner without a process."""

    model: str
    alive: bool = True
    last_used: float = 0.0
    order: RunnerOrder = field(init=False)

    def __post_init__(self) -> None:
        self.order = RunnerOrder("echo", self.model, "", Path(), 1)


def process(model: str, *, alive: bool = True) -> Any:
    """A runner, as the typed methods take it."""
    return FakeProcess(model, alive)


def warm(*processes: Any, memory_mb: int = 0) -> WarmRunners:
    found = WarmRunners(lambda engine, model: memory_mb)
    for used, one in enumerate(processes):
        found.add(one)
        one.last_used = float(used)
    return found


def test_a_runner_of_the_model_is_taken_and_the_others_stay() -> None:
    one, other = process("one"), process("other")
    runners = warm(one, other, memory_mb=MORE_THAN_THERE_IS)
    assert runners.take(("echo", "other"), room=0) == (other, [])
    assert runners.processes() == [one]


def test_one_that_died_is_not_taken() -> None:
    dead = process("one", alive=False)
    assert warm(dead).take(("echo", "one"), room=2) == (None, [dead])


@pytest.mark.parametrize(("room", "left"), [(3, 3), (2, 2), (1, 1), (0, 0)])
def test_to_make_room_those_end_that_were_not_used_for_longest(room: int, left: int) -> None:
    processes = [process("a"), process("b"), process("c")]
    runners = warm(*processes)
    assert runners.take(("echo", "new"), room=room) == (None, processes[: 3 - left])
    assert runners.processes() == processes[3 - left :]


def test_where_memory_would_not_suffice_all_end() -> None:
    processes = [process("a"), process("b")]
    runners = warm(*processes, memory_mb=MORE_THAN_THERE_IS)
    assert runners.take(("echo", "new"), room=2) == (None, processes)
    assert runners.processes() == []


def test_only_those_that_were_not_used_for_long_are_taken_out() -> None:
    old, new = process("old"), process("new")
    runners = warm(old, new)
    assert runners.take_unused(seconds=10.0, now=10.5) == [old]
    assert runners.processes() == [new]
