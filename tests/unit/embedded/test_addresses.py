"""Which addresses count as one."""

from __future__ import annotations

import pytest

from clustercore.embedded.domain.addresses import household


@pytest.mark.parametrize(
    ("address", "counted_as"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("", "unknown"),
        ("a-socket", "a-socket"),
    ],
)
def test_limits_count_an_ipv6_household_as_one(address: str, counted_as: str) -> None:
    assert household(address) == counted_as


def test_neighbours_on_one_link_are_one_household() -> None:
    assert household("fe80::1%eth0") == household("fe80::2%eth0")
