"""What `clustercore doctor` says of one thing.

A room tells its own: `commands.FINDINGS` names functions, as `package.module:name`, that return findings of this
machine and never raise; `commands.CLUSTER_FINDINGS` those that ask the ledger, where it can be asked.
"""

from __future__ import annotations

from dataclasses import dataclass

OK, HINT, BROKEN = "ok", "hint", "broken"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `state` is ok, hint (works, could be better) or broken."""

    about: str
    state: str
    text: str
