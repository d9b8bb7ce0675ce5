"""Which names of this hub a browser may use. A page of a stranger that makes its own name point here is turned away."""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import urlsplit

from clustercore.embedded.domain.addresses import is_literal

_HOST = re.compile(r"(?:\[(?P<six>[0-9a-fA-F:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::(?P<port>[0-9]{1,5}))?")
DEFAULT_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}


def host_name(header: str) -> str | None:
    """The name or address in a Host header, in small letters, without port and final dot; None if it is malformed."""
    match = _HOST.fullmatch(header)
    if match is None or (match["six"] and not is_literal(match["six"])):
        return None
    return (match["six"] or match["name"]).lower().rstrip(".")


def is_own_name(name: str, own: Collection[str]) -> bool:
    """Whether a host name may be used: addresses always (nobody can make one point elsewhere), names if they are ours.

    `own` are names; one that begins with a dot stands for all names below it, `*` for every name.
    """
    if is_literal(name) or "*" in own:
        return True
    allowed = {one.lower() for one in own}
    return name in allowed or any(one.startswith(".") and name.endswith(one) for one in allowed)


def is_own_origin(origin: str, host: str) -> bool:
    """Whether the Origin header of a request names the very place that its Host header does, port included.

    The scheme only says which port is meant where none is named: a proxy may speak TLS outside and none inside.
    """
    parts = urlsplit(origin)
    name = host_name(host)
    if name is None or parts.scheme not in DEFAULT_PORTS or host_name(parts.netloc) != name:
        return False
    match = _HOST.fullmatch(host)
    wanted = int(match["port"]) if match is not None and match["port"] else DEFAULT_PORTS[parts.scheme]
    try:
        return (parts.port or DEFAULT_PORTS[parts.scheme]) == wanted
    except ValueError:
        return False
