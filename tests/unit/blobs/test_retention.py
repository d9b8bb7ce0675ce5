from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from clustercore.blobs.domain.retention import IN_USE_SECONDS, Copy, to_drop

NOW = 1_000_000.0
LONG_AGO = NOW - 10 * IN_USE_SECONDS


def test_copies_within_the_budget_stay() -> None:
    copies = [Copy("a", 40, LONG_AGO), Copy("b", 60, LONG_AGO)]
    assert to_drop(copies, {"a", "b"}, 100, NOW) == []


def test_copies_of_deleted_blobs_go_whatever_the_budget() -> None:
    assert to_drop([Copy("a", 1, NOW), Copy("b", 1, NOW)], {"b"}, 100, NOW) == ["a"]


def test_the_least_recently_used_go_first_and_no_more_than_needed() -> None:
    copies = [Copy("new", 50, LONG_AGO + 2), Copy("old", 50, LONG_AGO), Copy("middle", 50, LONG_AGO + 1)]
    assert to_drop(copies, {"new", "old", "middle"}, 100, NOW) == ["old"]


def test_a_copy_that_may_be_open_stays_beyond_the_budget() -> None:
    assert to_drop([Copy("a", 500, NOW - 1)], {"a"}, 100, NOW) == []


@given(
    st.lists(
        st.builds(Copy, st.text("abc", min_size=1, max_size=4), st.integers(0, 99), st.just(LONG_AGO)), max_size=9
    ),
    st.integers(0, 500),
)
def test_what_stays_fits_the_budget(copies: list[Copy], budget: int) -> None:
    unique = list({copy.sha256: copy for copy in copies}.values())
    dropped = to_drop(unique, {copy.sha256 for copy in unique}, budget, NOW)
    assert sum(copy.size for copy in unique if copy.sha256 not in dropped) <= budget
