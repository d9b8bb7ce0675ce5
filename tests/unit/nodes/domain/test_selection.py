from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from clustercore.nodes.domain.engine import ModelRecord
from clustercore.nodes.domain.inventory import TieredModel
from clustercore.nodes.domain.selection import Selection, Wanted, select_models
from clustercore.nodes.domain.tiers import rung_of
from clustercore.nodes.domain.traits import meets_all

ORDER = ("large:*", "small:*", "pico:*")
REMEDY = "pull one"


def model(engine: str, *traits: str, name: str = "base") -> TieredModel:
    record = ModelRecord(capability="llm", engine=engine, model=name, traits=traits)
    return TieredModel(record, rung_of(ORDER, engine, name))


LARGE, SMALL = model("large", "lang:*", "tools"), model("small", "lang:*")
PICO, GERMAN = model("pico", "lang:en"), model("pico", "lang:de", name="german")
NAMELESS = model("unheard-of", "lang:*")


def select(models: list[TieredModel], **wanted: object) -> Selection:
    return select_models(models, Wanted(**wanted), order=ORDER, remedy=REMEDY)  # type: ignore[arg-type]


def labels(models: list[TieredModel], **wanted: object) -> list[str]:
    return [one.label for one in select(models, **wanted).models]


def reason(models: list[TieredModel], **wanted: object) -> str:
    selection = select(models, **wanted)
    assert not selection.models
    return selection.reason


def broken(one: TieredModel) -> TieredModel:
    return replace(one, record=replace(one.record, usable=False, reason="no file is here; type: x"))


def test_the_best_tier_that_meets_every_need_comes_first() -> None:
    assert labels([PICO, SMALL, LARGE], needs=["lang:en"]) == ["large:base", "small:base", "pico:base"]
    assert labels([PICO, GERMAN, SMALL], needs=["lang:de"]) == ["small:base", "pico:german"]
    assert labels([PICO, SMALL, LARGE], needs=["lang:en", "tools"]) == ["large:base"]


def test_a_trait_without_a_prefix_is_met_by_the_same_alone() -> None:
    assert not meets_all(["tools:*", "tool"], ["tools"])
    assert meets_all(["context:*"], ["context:8k"])
    assert not meets_all(["lang:de"], ["lang:*"])


def test_work_that_needs_nothing_is_left_to_any_model() -> None:
    assert sorted(labels([PICO, GERMAN])) == ["pico:base", "pico:german"]


def test_a_preferred_trait_chooses_among_those_that_may_and_is_passed_over_where_none_has_it() -> None:
    assert labels([PICO, SMALL, LARGE], prefers=["tools"]) == ["large:base"]
    assert labels([PICO, SMALL], prefers=["tools"]) == ["small:base", "pico:base"]


def test_what_a_user_insists_on_serves_alone() -> None:
    assert labels([PICO, GERMAN, LARGE], engine="pico") == ["pico:base", "pico:german"]
    assert labels([PICO, GERMAN, LARGE], engine="pico", model="german") == ["pico:german"]


def test_models_below_the_floor_take_no_part() -> None:
    assert labels([PICO, SMALL, LARGE], minimum_rung=2) == ["large:base"]


def test_a_need_that_no_model_meets_says_what_each_offers_and_what_helps() -> None:
    assert reason([PICO], needs=["lang:de"]) == "pico:base offers lang:en; the work needs lang:de: pull one"


def test_a_floor_that_nobody_reaches_names_the_best_there_is_and_the_tier_asked_for() -> None:
    text = reason([PICO], minimum_rung=1)
    assert "pico:base stands on rung 0" in text
    assert "small:*" in text


def test_an_unusable_model_gives_its_own_reason() -> None:
    assert reason([broken(SMALL)]) == "small: no file is here; type: x"


def test_a_model_that_no_tier_names_is_not_used() -> None:
    assert "no tier of the preference order names unheard-of:base" in reason([NAMELESS])


def test_no_engine_at_all_says_what_helps() -> None:
    assert reason([]) == "no engine is here: pull one"


@given(
    models=st.lists(st.sampled_from([PICO, GERMAN, SMALL, LARGE, NAMELESS, broken(SMALL)])),
    needs=st.lists(st.sampled_from(["lang:en", "lang:de", "tools"]), unique=True),
    minimum=st.integers(0, 4),
)
def test_there_are_always_able_models_in_falling_order_or_a_reason(
    models: list[TieredModel], needs: list[str], minimum: int
) -> None:
    selection = select(models, needs=needs, minimum_rung=minimum)
    rungs = [one.rung for one in selection.models]
    assert rungs == sorted(rungs, reverse=True)
    assert all(
        one.record.usable and one.rung >= minimum and meets_all(one.record.traits, needs) for one in selection.models
    )
    assert bool(selection.models) != bool(selection.reason)


def test_the_order_does_not_depend_on_the_order_of_the_inventory() -> None:
    assert labels([LARGE, SMALL, PICO]) == labels([PICO, SMALL, LARGE])
