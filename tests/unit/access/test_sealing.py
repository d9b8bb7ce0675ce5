"""Names and values of secrets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clustercore.access.domain.encryption import (
    LONGEST_VALUE,
    SecretRefused,
    checked_name,
    checked_value,
    sealed,
    unsealed,
)


@given(st.text())
def test_a_secret_comes_out_as_it_went_in_and_for_its_own_name_alone(value: str) -> None:
    content = sealed("one", value)
    assert unsealed("one", content) == value
    assert unsealed("two", content) is None


@pytest.mark.parametrize("name", ["", "A", "1a", "a_b", "a b", "../a", "a\n", "a" * 81])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(SecretRefused):
        checked_name(name)


@pytest.mark.parametrize("value", ["", " ", "\r\n", "a\nb", "a\x1b[2J", "x" * (LONGEST_VALUE + 1)])
def test_a_refusal_of_a_value_does_not_repeat_it(value: str) -> None:
    with pytest.raises(SecretRefused) as caught:
        checked_value(value)
    assert not value.strip() or value not in str(caught.value)


def test_the_line_end_of_a_terminal_or_a_file_is_left_out() -> None:
    assert checked_value("hf_abc \r\n") == "hf_abc "
