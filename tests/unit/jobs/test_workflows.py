from __future__ import annotations

import pytest
from celery import signature
from celery.canvas import Signature

from clustercore.jobs import workflows


def test_when_the_broker_is_away_the_first_bell_is_the_last_that_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[Signature] = []

    def refuse(self: Signature, **_: object) -> None:
        tried.append(self)
        raise ConnectionError("refused")

    monkeypatch.setattr(Signature, "apply_async", refuse)
    absence = workflows.ring_in_turn(signature("transcription.cut", args=[number]) for number in range(3))
    assert (len(tried), absence) == (1, "refused")
