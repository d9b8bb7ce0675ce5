"""How soon a server that died is started again."""

from __future__ import annotations

from clustercore.embedded.domain.restarts import is_hopeless, pause_before


def test_a_server_that_was_well_is_back_at_once() -> None:
    assert pause_before(1, lived_seconds=3600) == 0


def test_pauses_grow_up_to_a_limit() -> None:
    pauses = [pause_before(failures, 0.1) for failures in range(1, 20)]
    assert pauses[0] == 0.1
    assert pauses == sorted(pauses)
    assert pauses[-1] == 5.0


def test_one_that_never_comes_up_is_given_up() -> None:
    assert not is_hopeless(2)
    assert is_hopeless(6)
