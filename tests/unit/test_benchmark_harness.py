"""The benchmarks' frame: bars that can be missed, and rounds that are repeated when they began busy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import harness

BARS: harness.Bars = {"milliseconds": ("<=", 6.0), "of_the_ceiling": (">=", 0.95)}


def publish(strict: bool, **metrics: float) -> None:
    harness.publish("some", metrics, {}, lambda axes: None, bars=BARS, loads=[0.4, 1.5], strict=strict)


@pytest.fixture
def results(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(harness, "RESULTS", tmp_path)
    monkeypatch.setattr(harness, "_plot", lambda path, draw: None)
    return tmp_path


def loads(monkeypatch: pytest.MonkeyPatch, *values: float) -> None:
    seen: Iterator[float] = iter(values)
    monkeypatch.setattr(harness, "load_average", lambda: next(seen))


def test_a_bar_at_its_limit_is_met_and_one_beyond_it_is_missed() -> None:
    assert harness.missed(BARS, {"milliseconds": 6.0, "of_the_ceiling": 0.95}) == []
    assert [line.split()[0] for line in harness.missed(BARS, {"milliseconds": 6.01, "of_the_ceiling": 0.94})] == [
        "milliseconds",
        "of_the_ceiling",
    ]


def test_a_missed_bar_ends_with_1_only_where_that_was_asked_for(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(False, milliseconds=9.0, of_the_ceiling=1.0)
    publish(True, milliseconds=5.0, of_the_ceiling=1.0)
    with pytest.raises(SystemExit) as ended:
        publish(True, milliseconds=9.0, of_the_ceiling=1.0)
    assert ended.value.code == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert json.loads(last) == {"benchmark": "some", "metrics": {"milliseconds": 9.0, "of_the_ceiling": 1.0}}


def test_a_result_says_at_which_load_when_and_at_which_commit_it_was_measured(results: Path) -> None:
    publish(False, milliseconds=5.0, of_the_ceiling=1.0)
    document = json.loads((results / "some.json").read_text())
    assert document["load"] == 1.5 and document["commit"] and document["date"].startswith("20")


def test_a_round_that_began_busy_is_repeated_once_and_only_the_repetition_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loads(monkeypatch, 0.5, 3.0, 1.0, 1.0)
    measured: list[int] = []

    def measure(number: int) -> int:
        measured.append(number)
        return len(measured)

    found = harness.rounds(2, measure)
    assert (measured, [(one.load, one.found) for one in found]) == ([0, 1, 1], [(0.5, 1), (1.0, 3)])


def test_a_machine_that_stays_busy_still_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "QUIET_SECONDS", 0.0)
    monkeypatch.setattr(harness, "load_average", lambda: 9.0)
    measured: list[int] = []
    harness.rounds(2, measured.append)
    assert measured == [0, 0, 1, 1]


def test_the_result_is_the_median_over_the_rounds() -> None:
    assert harness.medians([{"ms": 9.0}, {"ms": 2.0}, {"ms": 3.0}]) == {"ms": 3.0}
