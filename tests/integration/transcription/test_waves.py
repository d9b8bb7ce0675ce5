"""When the pieces of a recording are queued while it is being cut."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import cast

import pytest

from clustercore.jobs.domain.new_unit import NewUnit
from clustercore.jobs.domain.unit_context import UnitContext
from transcription.services import cutting
from transcription.services.cutting import WAVE, Waves


@pytest.fixture
def queued(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pieces each call queued."""
    monkeypatch.setattr(cutting, "stored", lambda piece: piece["path"])
    return []


def waves(queued: list[int], slots: int, sent: int = 0) -> Waves:
    def queue(units: Sequence[NewUnit]) -> None:
        queued.append(len(units))

    return Waves(cast(UnitContext, SimpleNamespace(parameters={}, queue=queue)), slots, sent=sent)


def cut_pieces(into: Waves, count: int) -> None:
    for ordinal in range(count):
        into.add(
            {
                "ordinal": ordinal,
                "path": f"{ordinal}",
                "start_sample": ordinal * 16_000,
                "end_sample": (ordinal + 1) * 16_000,
                "is_last": ordinal == count - 1,
            }
        )


def test_each_slot_gets_its_first_piece_as_soon_as_it_is_cut_and_later_ones_come_together(queued: list[int]) -> None:
    found = waves(queued, slots=3)
    cut_pieces(found, 3 + WAVE + 1)
    assert queued == [1, 1, 1, WAVE]


@pytest.mark.parametrize(("pieces", "left"), [(1, 1), (4, 1), (3 + WAVE, WAVE), (3 + WAVE + 1, 1)])
def test_the_last_pieces_are_left_to_the_end_of_the_cut(queued: list[int], pieces: int, left: int) -> None:
    found = waves(queued, slots=3)
    cut_pieces(found, pieces)
    assert [len(found.waiting), found.pieces] == [left, pieces]


def test_an_attempt_that_goes_on_where_another_ended_has_no_slot_to_hurry_for(queued: list[int]) -> None:
    cut_pieces(waves(queued, slots=3, sent=3), WAVE + 1)
    assert queued == [WAVE]
