"""Self-tests: rooms above say how a capability is tried, the node agent tries each of its models once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from clustercore.nodes.domain.engine import JsonObject, ModelRecord


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a self-test's result is worth. `amount` is that of the work the request held, in the kind's own unit."""

    passed: bool
    amount: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class SelfTest:
    """How to try a capability: a request that any of its models can serve, and who judges the result."""

    capability: str
    request: Callable[[], JsonObject]
    judge: Callable[[JsonObject], Judgement]


_SELF_TESTS: dict[str, SelfTest] = {}


def register_self_test(
    capability: str, request_factory: Callable[[], JsonObject], judge: Callable[[JsonObject], Judgement]
) -> None:
    """Called once per capability, from its room's AppConfig.ready."""
    _SELF_TESTS[capability] = SelfTest(capability, request_factory, judge)


def self_test_for(capability: str) -> SelfTest | None:
    """How to try `capability`, if anybody said."""
    return _SELF_TESTS.get(capability)


def testable_labels(records: Iterable[ModelRecord]) -> list[str]:
    """`engine:model` of all usable models that a self-test exists for; a result is valid for exactly this list."""
    return sorted(f"{r.engine}:{r.model}" for r in records if r.usable and r.capability in _SELF_TESTS)
