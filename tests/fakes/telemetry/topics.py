"""A topic without a ledger: what it knows is what the test wrote, and it counts how often it is asked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from clustercore.access.domain.identity import Identity
from clustercore.telemetry.domain.topics import Facts, Fragments, State, Topic


class Written:
    """The facts by key, as they are now."""

    def __init__(self, **facts: Mapping[str, Any]) -> None:
        self.facts: dict[str, Facts] = dict(facts)
        self.looks = 0
        self.rendered = 0
        self.error: Exception | None = None
        self.while_loading: Callable[[], None] = lambda: None
        self.threads: set[int] = set()

    def load(self, keys: Sequence[str]) -> Mapping[str, Facts]:
        self.looks += 1
        self.threads.add(threading.get_ident())
        self.while_loading()
        if self.error is not None:
            raise self.error
        return {key: dict(self.facts[key]) for key in keys if key in self.facts}

    def render(self, key: str, facts: Facts) -> Fragments:
        self.rendered += 1
        return {f"{key}-{name}": f"<p>{value}</p>" for name, value in facts.items()}

    def topic(self, name: str = "written", allowed: Callable[[Identity, str], bool] = lambda _who, _key: True) -> Topic:
        return Topic(name=name, allowed=allowed, load=self.load, state=_as_it_is, render=self.render)


def _as_it_is(_key: str, facts: Facts) -> State:
    return dict(facts)
