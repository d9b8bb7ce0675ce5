"""Which address a request came from, and which addresses count as one."""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import IPv6Address, ip_address, ip_network

HOUSEHOLD_BITS = 64
"""An IPv6 network of this length belongs to one customer, who may use any address in it."""


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
    one = _unmapped(address)
    return any(one in ip_network(network, strict=False) for network in networks)


def is_literal(text: str) -> bool:
    """Whether this is an IP address."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def household(address: str) -> str:
    """What limits are counted by: the address, and of IPv6 the network that one customer has."""
    if not is_literal(address):
        return address or "unknown"
    one = _unmapped(address)
    if isinstance(one, IPv6Address):
        return str(ip_network((one, HOUSEHOLD_BITS), strict=False))
    return str(one)


def _unmapped(address: str) -> object:
    one = ip_address(address)
    return one.ipv4_mapped or one if isinstance(one, IPv6Address) else one
