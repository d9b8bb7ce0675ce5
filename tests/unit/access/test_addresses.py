"""Which address a request came from."""

from __future__ import annotations

import pytest

from clustercore.access.domain.addresses import client_address

PROXIES = ["10.0.0.0/24", "2001:db8::1/128"]


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("192.0.2.1", "", "192.0.2.1"),
        ("192.0.2.1", "203.0.113.9", "192.0.2.1"),
        ("10.0.0.7", "", "10.0.0.7"),
        ("10.0.0.7", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.7", "198.51.100.1, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.7", "203.0.113.9, 10.0.0.8", "203.0.113.9"),
        ("10.0.0.7", "203.0.113.9, nonsense", "10.0.0.7"),
        ("::ffff:10.0.0.7", "203.0.113.9", "203.0.113.9"),
        ("2001:db8::1", "203.0.113.9", "203.0.113.9"),
        ("", "203.0.113.9", ""),
    ],
)
def test_only_what_a_trusted_proxy_adds_is_believed(peer: str, forwarded: str, client: str) -> None:
    assert client_address(peer, forwarded, PROXIES) == client
