"""Kinds of job and their outlines."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clustercore.jobs.domain import kinds
from clustercore.jobs.domain.kinds import known_contracts, outline, outline_of, register
from tests.fakes.jobs.kinds import SUMS
from transcription.domain.stages import OUTLINE
from transcription.workflows import TRANSCRIPTION

UNKNOWN = replace(SUMS, name="unknown sums")


@pytest.fixture(autouse=True)
def registries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "_KINDS", dict(kinds._KINDS))
    monkeypatch.setattr(kinds, "_OUTLINES", dict(kinds._OUTLINES))


def test_a_kind_is_outlined_where_it_is_registered_and_where_it_is_not() -> None:
    assert outline_of(UNKNOWN.name) is None
    outline(UNKNOWN.outline)
    assert outline_of(UNKNOWN.name) == UNKNOWN.outline
    register(UNKNOWN)
    assert outline_of(UNKNOWN.name) == UNKNOWN.outline


def test_an_outline_that_belies_its_kind_is_refused() -> None:
    outline(replace(UNKNOWN.outline, stages=("other",), main_stage="other"))
    with pytest.raises(ValueError, match="names other stages"):
        register(UNKNOWN)


def test_a_transcription_is_outlined_as_it_is() -> None:
    assert TRANSCRIPTION.outline == OUTLINE


def test_every_stage_of_a_registered_kind_is_known_with_the_number_of_its_contract() -> None:
    plan, *others = UNKNOWN.stages
    register(replace(UNKNOWN, stages=(replace(plan, contract=3), *others)))
    assert {"unknown sums/plan/3", "unknown sums/part/1", "unknown sums/total/1"} <= set(known_contracts())
