"""Filters of all templates."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from clustercore.project.web_filters import (
    commands,
    in_values,
    item,
    moment,
    node_colour,
    percent,
    thousandths,
    unlocal,
)


def test_only_what_is_complete_reads_a_hundred_per_cent() -> None:
    assert [percent(part) for part in (-1.0, 0.0, 0.999, 1.0, 3.0)] == [0, 0, 99, 100, 100]
    assert [thousandths(part) for part in (0.5, 0.9999)] == [500, 999]


def test_what_stands_in_backquotes_is_shown_as_something_to_type() -> None:
    assert commands("try `clustercore retry 7` again") == "try <code>clustercore retry 7</code> again"


@pytest.mark.parametrize("text", ["<b>", "`<b>`", "<b>`", "a `x` <b> `y", "`<b>` & `c`"])
def test_everything_around_and_in_them_is_escaped(text: str) -> None:
    assert "<b>" not in commands(text)


def test_backquotes_that_are_no_pair_stay_as_they_are() -> None:
    assert commands("it`s") == "it`s"


def test_a_node_without_a_colour_has_the_neutral_one() -> None:
    assert node_colour("pi", {"pi": 0}) == "node-0"
    assert node_colour("gone", {"pi": 0}) == "node-none"
    assert node_colour("pi", None) == "node-none"


def test_a_moment_is_in_utc_until_the_page_knows_better() -> None:
    at = datetime(2026, 11, 21, 13, 5, 7, tzinfo=timezone(timedelta(hours=1)))
    assert moment(at) == (
        '<time datetime="2026-11-21T12:05:07+00:00" data-precision="seconds">21 Nov 12:05:07 UTC</time>'
    )


def test_small_ones() -> None:
    assert unlocal(1234.5) == "1234.5"
    assert (item({7: "x"}, 7), item({}, 7)) == ("x", None)
    assert in_values("a", [{"value": "a"}])
    assert not in_values("b", [{"value": "a"}])
