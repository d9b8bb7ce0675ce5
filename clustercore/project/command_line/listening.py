"""The address that `up --listen` takes, and what other machines have to type."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass

import psutil

from clustercore.terminal.domain.endings import CommandError, ExitCode

DEFAULT_PORT = 7420


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Where to listen; `port` 0 is any free one."""

    host: str
    port: int


def parse_listen(text: str) -> ListenAddress:
    """`ADDRESS`, `ADDRESS:PORT`, `[IPv6]:PORT` or a bare IPv6 address. Raises CommandError."""
    host, port = text.strip(), ""
    if host.startswith("["):
        host, _, port = host[1:].partition("]")
        port = port.removeprefix(":")
    elif host.count(":") == 1:
        host, _, port = host.partition(":")
    if not host or not (port or "0").isdecimal() or not 0 <= int(port or 0) <= 65535:
        message = f"--listen: {text!r} is no address; say 192.168.1.10, 0.0.0.0 or 192.168.1.10:{DEFAULT_PORT}"
        raise CommandError(message, ExitCode.USAGE)
    return ListenAddress(host, int(port) if port else DEFAULT_PORT)


def require_bindable(address: ListenAddress) -> None:
    """Raises CommandError where this machine cannot listen there, before anything has been started."""
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, place = found[0]
        socket.create_server(place[:2], family=family).close()
    except OSError as error:
        message = (
            f"--listen: nothing can listen on {address.host}:{address.port}: {error.strerror or error}. "
            "Choose an address of this machine, or another port."
        )
        raise CommandError(message, ExitCode.USAGE) from error


def reachable_host(host: str) -> str:
    """What other machines call this one: `host`, or an address of an interface when that means all of them."""
    try:
        if not ipaddress.ip_address(host).is_unspecified:
            return host
    except ValueError:
        return host
    found = [
        address.address
        for addresses in psutil.net_if_addrs().values()
        for address in addresses
        if address.family == socket.AF_INET and not ipaddress.ip_address(address.address).is_loopback
    ]
    return found[0] if found else socket.gethostname()
