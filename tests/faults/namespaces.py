"""A machine of its own, as far as the network goes: a namespace whose only link leads to the hub's one port."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from ipaddress import IPv4Network
from itertools import count

_NUMBERS = count()
_NETWORKS = list(IPv4Network("10.213.0.0/16").subnets(new_prefix=30))
# Two sessions on one machine have a network each.
HUB_ADDRESS, NODE_ADDRESS = (str(address) for address in _NETWORKS[os.getpid() % len(_NETWORKS)].hosts())


@dataclass(frozen=True, slots=True)
class Namespace:
    """A network namespace, joined to this machine by one link."""

    name: str
    hub_end: str

    @property
    def prefix(self) -> tuple[str, ...]:
        """What starts a command inside."""
        return ("ip", "netns", "exec", self.name)

    def link_down(self) -> None:
        """The cable is out: packets vanish both ways, nobody is told."""
        ip("link", "set", self.hub_end, "down")

    def link_up(self) -> None:
        """The cable is in again; the address stayed."""
        ip("link", "set", self.hub_end, "up")


def ip(*arguments: str) -> None:
    """Runs `ip`. Raises CalledProcessError, FileNotFoundError."""
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=10)


@contextmanager
def namespace() -> Iterator[Namespace]:
    """A fresh namespace; gone at the end, its link too. Raises as `ip` does."""
    # A link outlives its namespace by a moment, so that no name may be used again at once.
    number = f"{os.getpid() % 100_000}-{next(_NUMBERS)}"
    name, hub_end, node_end = f"clustercore-{number}", f"cch{number}", f"ccn{number}"
    ip("netns", "add", name)
    try:
        ip("link", "add", hub_end, "type", "veth", "peer", "name", node_end, "netns", name)
        ip("address", "add", f"{HUB_ADDRESS}/30", "dev", hub_end)
        ip("link", "set", hub_end, "up")
        ip("-n", name, "address", "add", f"{NODE_ADDRESS}/30", "dev", node_end)
        ip("-n", name, "link", "set", node_end, "up")
        ip("-n", name, "link", "set", "lo", "up")
        yield Namespace(name, hub_end)
    finally:
        with suppress(subprocess.CalledProcessError):
            ip("link", "delete", hub_end)
        ip("netns", "delete", name)


def why_not() -> str:
    """Why there can be no namespaces here; empty if there can."""
    if not sys.platform.startswith("linux"):
        return "network namespaces are Linux's"
    if os.geteuid() != 0:
        return "only root may make network namespaces"
    try:
        with namespace():
            return ""
    except FileNotFoundError:
        return "the program `ip` (iproute2) is missing"
    except subprocess.CalledProcessError as error:
        return f"network namespaces are not permitted here: {error.stderr.decode().strip()}"
