"""A topic without a ledger: what it knows is what the test wrote, and it counts how often it is asked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from clustercore.access.domain.identity import Identity
from clustercore.live.domain.topics import Facts, Known, PagePart, State, Topic


class Written:
    """The facts by key, as they are now."""

    def __init__(self, **facts: Mapping[str, Any]) -> None:
        self.facts: dict[str, Facts] = dict(facts)
        self.looks = 0
        self.rendered = 0
        self.every: dict[str, float] = {}
        self.error: Exception | None = None
        self.while_loading: Callable[[], None] = lambda: None
        self.threads: set[int] = set()

    def load(self, known: Known) -> Mapping[str, Facts]:
        self.looks += 1
        self.threads.add(threading.get_ident())
        self.while_loading()
        if self.error is not None:
            raise self.error
        return {key: dict(self.facts[key]) for key in known if key in self.facts}

    def parts(self, key: str, facts: Facts) -> Sequence[PagePart]:
        return [
            PagePart(id=f"{key}-{name}", of=value, make=partial(self._make, value), every=self.every.get(name, 0.0))
            for name, value in facts.items()
        ]

    def _make(self, value: object) -> str:
        self.rendered += 1
        return f"<p>{value}</p>"

    def topic(self, name: str = "written", allowed: Callable[[Identity, str], bool] = lambda _who, _key: True) -> Topic:
        return Topic(name=name, allowed=allowed, load=self.load, state=_as_it_is, parts=self.parts)


def _as_it_is(_key: str, facts: Facts) -> State:
    return dict(facts)
