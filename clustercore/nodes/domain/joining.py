"""What makes another machine a node: one line to paste into its terminal."""

from __future__ import annotations

FOLDER = "~/clustercore-node"
EXTRA = "node"
INSTALL_FROM_CLONE = f"python3 -m venv {FOLDER} && {FOLDER}/bin/pip install '.[{EXTRA}]'"
"""Typed in a clone of the hub's version, where the hub has no wheel of its own to give out."""


def install_command(address: str, sha256: str) -> str:
    """Returns the line that installs the hub's own wheel into a folder of its own (Python 3.11 or newer).

    The checksum stands in it: whoever answers in the hub's place cannot give out anything else.
    """
    wheel = f"clustercore[{EXTRA}] @ {address}#sha256={sha256}"
    return f"python3 -m venv {FOLDER} && {FOLDER}/bin/pip install '{wheel}'"


def join_command(address: str, sha256: str, database_url: str, redis_url: str) -> str:
    """Returns the line that installs a node and starts it. It holds passwords."""
    return and_start(install_command(address, sha256), database_url, redis_url)


def and_start(install: str, database_url: str, redis_url: str) -> str:
    """Returns the line that installs by `install` and starts a node. It holds passwords."""
    variables = f"DATABASE_URL='{database_url}' REDIS_URL='{redis_url}'"
    return f"{install} && {variables} {FOLDER}/bin/clustercore node"
