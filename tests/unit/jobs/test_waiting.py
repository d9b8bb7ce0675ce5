from __future__ import annotations

from clustercore.jobs.domain.kinds import Remedies
from clustercore.jobs.domain.waiting import job_waits_because, node_idles_because

REMEDIES = Remedies(model="pull the large one", lower="ask for less")


def reason(**facts: object) -> str:
    known: dict[str, object] = {
        "contract": "sums/part/1",
        "capability": "stt",
        "needs": ["lang:en"],
        "engine": "",
        "model": "",
        "floor": 0,
        "nodes_online": 2,
        "nodes_with_contract": 2,
        "nodes_with_capability": 2,
        "nodes_able": 0,
    }
    return job_waits_because(**{**known, **facts})  # type: ignore[arg-type]


def test_nothing_is_said_when_some_node_is_able() -> None:
    assert reason(nodes_able=1) == ""


def test_a_broker_that_does_not_answer_is_the_reason_where_a_node_is_able() -> None:
    assert reason(nodes_able=1, broker_away="no such file") == "the broker (Redis) does not answer: no such file"


def test_nodes_that_are_held_are_named_with_their_reasons() -> None:
    assert reason(nodes_online=0, holds="laptop: no disk space left").endswith("laptop: no disk space left")


def test_without_nodes_the_remedy_is_to_start_one() -> None:
    assert "clustercore node" in reason(nodes_online=0)


def test_work_that_no_node_knows_names_its_kind_and_what_to_install() -> None:
    said = reason(nodes_with_contract=0, nodes_with_capability=0)
    assert "kind 'sums'" in said and "sums/part/1" in said and "clustercore up --listen" in said
    assert len(reason(contract=f"{'k' * 40}/{'s' * 40}/1", nodes_with_contract=0)) <= 400


def test_a_missing_capability_points_to_the_doctor() -> None:
    assert "clustercore doctor" in reason(nodes_with_capability=0)


def test_what_no_model_offers_is_named_with_what_the_kind_says_of_the_remedy() -> None:
    assert reason(needs=["lang:de", "tools"], remedies=REMEDIES) == (
        "no live node has a model that offers lang:de, tools: pull the large one"
    )
    assert "models list --available" in reason(needs=[])


def test_an_engine_the_user_insists_on_is_named() -> None:
    assert "faster-whisper:large-v3" in reason(engine="faster-whisper", model="large-v3")


def test_a_floor_nobody_reaches_offers_every_rung() -> None:
    said = reason(floor=4, remedies=REMEDIES)
    assert "or ask for less" in said and "reaches rung 4" in said and "lasted" not in said


def test_a_floor_that_falls_by_itself_says_when_and_who_is_held() -> None:
    said = reason(floor=4, floor_wait_seconds=600.0, holds="studio: 87 degrees")
    assert "when that has lasted 10 min" in said and said.endswith("Held: studio: 87 degrees")


def test_an_idle_node_says_what_it_has_and_who_sets_the_floor() -> None:
    said = node_idles_because(
        floor=4,
        best_here="pocketsphinx:en-us",
        best_anywhere="faster-whisper:large-v3",
        best_node="workstation",
        lower="ask for less",
    )
    assert said.endswith("to let every rung take part, ask for less")
    assert "pocketsphinx:en-us" in said and "faster-whisper:large-v3 on workstation" in said


def test_work_that_every_able_node_failed_at_waits_with_what_went_wrong() -> None:
    said = reason(refused="no rung of this node worked: oracle:tones: out of memory")
    assert "every able node has tried" in said and "out of memory" in said
    assert reason(refused="anything", nodes_able=1) == ""


def test_a_node_that_waiting_work_does_not_ask_for_is_not_told_of_rungs() -> None:
    nobody = node_idles_because(floor=0, best_here="vosk:en", best_anywhere="what was asked for", best_node="")
    assert nobody == "what waits asks for what no live node has; this node has vosk:en"
    other = node_idles_because(floor=0, best_here="vosk:en", best_anywhere="faster-whisper:small", best_node="studio")
    assert other == "what waits asks for faster-whisper:small on studio; this node has vosk:en"
