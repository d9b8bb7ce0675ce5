"""Kinds of job and their outlines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from celery import current_app
from pydantic import BaseModel

from clustercore.jobs.domain import kinds
from clustercore.jobs.domain.kinds import (
    JobKind,
    NoParameters,
    Stage,
    known_contracts,
    outline,
    outline_of,
    register,
    send_usually_by,
)
from clustercore.jobs.domain.presentation import presentation_of
from clustercore.jobs.workflows import open_kind
from tests.fakes.jobs.kinds import SUMS, part, plan, total
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


class Blob(BaseModel):
    """Asks for what every request may have."""

    title: str


SMALLEST = JobKind(name="smallest", stages=(Stage(name="plan", handler=plan),))


def test_all_but_names_and_handlers_has_a_default_that_loses_nothing() -> None:
    [stage] = SMALLEST.stages
    assert (stage.task, stage.capability, stage.opens, stage.record) == ("smallest.plan", "any", "start", None)
    assert (SMALLEST.noun, SMALLEST.main_stage, SMALLEST.amount_unit) == ("Smallest", "plan", "")
    assert (SMALLEST.parameters, SMALLEST.takes_file, SMALLEST.submitted) == (NoParameters, False, None)


def test_people_count_the_last_stage_that_is_no_barrier() -> None:
    stages = (Stage(name="plan", handler=plan), Stage(name="part", handler=part))
    kind = JobKind(name="three", stages=(*stages, Stage(name="total", handler=total, opens="barrier")))
    assert (kind.main_stage, [stage.opens for stage in kind.stages]) == ("part", ["start", "producer", "barrier"])


def test_a_kind_without_a_canvas_sends_messages_as_all_do(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[str, str, Sequence[int]]] = []
    monkeypatch.setattr(kinds, "_USUAL_SENDER", [lambda *_: None])
    send_usually_by(lambda *message: sent.append(message))
    SMALLEST.send(7, "plan", [1, 2])
    assert sent == [("smallest", "plan", [1, 2])]


def test_a_kind_that_is_opened_is_known_and_has_a_task_for_each_stage_named_after_it() -> None:
    open_kind(SMALLEST)
    assert kinds.kind_named("smallest") is SMALLEST
    task = current_app.tasks["smallest.plan"]
    assert type(task).__module__ == plan.__module__


def test_where_kinds_are_only_looked_at_the_outline_follows_from_the_kind(settings: Any) -> None:
    settings.ONLY_READS = True
    open_kind(SMALLEST)
    assert outline_of("smallest") == SMALLEST.outline
    assert "smallest" not in kinds._KINDS


def test_a_kind_without_a_presentation_is_shown_as_json() -> None:
    assert presentation_of("smallest") is None
    register(SMALLEST)
    shown = presentation_of("smallest")
    assert shown is not None and (shown.facts, shown.new_url, shown.result_url) == (None, None, None)


def test_a_stage_without_a_handler_is_refused() -> None:
    with pytest.raises(TypeError, match="'handler'"):
        Stage(name="plan")  # type: ignore[call-arg]


NO_HANDLER: Any = None
_PLAN, _PART = Stage(name="plan", handler=plan), Stage(name="part", handler=part)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"name": "Big Sums"}, "cannot name a kind"),
        ({"stages": ()}, "has no stage that opens with the job"),
        ({"stages": (replace(_PLAN, opens="barrier"),)}, "has no stage that opens with the job"),
        ({"stages": (_PLAN, _PLAN)}, "two stages of one name"),
        ({"stages": (replace(_PLAN, handler=NO_HANDLER),)}, "the stage 'plan' of 'smallest' has no handler"),
        ({"stages": (_PLAN, replace(_PART, made_by="cut"))}, "is made by 'cut', which is no earlier stage"),
        ({"stages": (replace(_PLAN, capability="Do it"),)}, "cannot name a capability"),
        ({"main_stage": "part"}, "the main stage 'part' of 'smallest' is not one of its stages"),
        ({"parameters": Blob}, "have a field 'title', which every request has"),
    ],
)
def test_what_is_wrong_with_a_kind_is_named_when_it_is_made(wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        replace(SMALLEST, **wrong)
