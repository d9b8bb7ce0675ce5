"""Which addresses count as one."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

HOUSEHOLD_BITS = 64
"""An IPv6 network of this length belongs to one customer, who may use any address in it."""


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
    one = unmapped(address)
    if isinstance(one, IPv6Address):
        return str(ip_network((one, HOUSEHOLD_BITS), strict=False))
    return str(one)


def unmapped(address: str) -> IPv4Address | IPv6Address:
    """The address; of one of IPv4 that is written as IPv6, the IPv4 address."""
    one = ip_address(address)
    return one.ipv4_mapped or one if isinstance(one, IPv6Address) else one
