"""Which address a request came from."""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_network

from clustercore.embedded.domain.addresses import is_literal, unmapped


def client_address(peer: str, forwarded: str, trusted: Collection[str]) -> str:
    """`peer`, or, where the peer is a trusted proxy, the last address in X-Forwarded-For that no trusted proxy has.

    `trusted` holds addresses and networks (`10.0.0.7`, `10.0.0.0/24`). What an untrusted peer claims is never read.
    """
    address = peer
    claimed = [part.strip() for part in forwarded.split(",") if part.strip()]
    while claimed and is_among(address, trusted):
        claim = claimed.pop()
        if not is_literal(claim):
            break
        address = claim
    return address


def is_among(address: str, networks: Collection[str]) -> bool:
    """Whether an address is one of these addresses, or in one of these networks."""
    if not is_literal(address):
        return address in networks
    one = unmapped(address)
    return any(one in ip_network(network, strict=False) for network in networks)
