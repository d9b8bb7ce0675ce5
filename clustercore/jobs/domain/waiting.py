"""Why a job or a node has nothing to do, in words that name the remedy."""

from __future__ import annotations

from collections.abc import Sequence

from clustercore.jobs.domain.humanize import duration_words
from clustercore.jobs.domain.kinds import NO_REMEDIES, Remedies

BLOB_MISSING = "what it needs is no longer stored: it is being made again"
"""Why a unit is held whose blob was found missing."""
BROKER_AWAY = "the broker (Redis) does not answer: "
"""How the reason begins that a node tells which cannot reach it."""


def job_waits_because(
    *,
    contract: str,
    capability: str,
    needs: Sequence[str],
    engine: str,
    model: str,
    remedies: Remedies = NO_REMEDIES,
    floor: int,
    floor_wait_seconds: float | None = None,
    nodes_online: int,
    nodes_with_contract: int,
    nodes_with_capability: int,
    nodes_able: int,
    refused: str = "",
    holds: str = "",
    broker_away: str = "",
) -> str:
    """The reason why nothing of a job runs; empty when some node is able and it only has to be its turn.

    `needs` are the traits that a model must have, `remedies` what the kind says of what helps, `floor_wait_seconds` is
    after how long the floor falls that nobody reaches; None where it does not.
    `contract` is "kind/stage/number", which a node must know, `refused` what the last node said that tried it and may
    not try again for now, `holds` which nodes take nothing and why, `broker_away` what the broker's absence looks like.
    """
    if nodes_able:
        return f"{BROKER_AWAY}{broker_away}" if broker_away else ""
    if not (nodes_online and nodes_with_contract):
        return _unknown(contract) if nodes_online else _nobody(holds)
    if not nodes_with_capability:
        return (
            f"no live node can do {capability!r}: `clustercore doctor` on a node says what is missing, "
            "`clustercore models list --available` what can be pulled"
        )
    if refused:
        return (
            "every able node has tried and failed, and may try again within ten minutes; add a node, or mend and "
            f"`clustercore retry`. Last: {refused}"
        )
    wanted = ":".join(part for part in (engine, model) if part)
    below = not wanted and floor > 0
    if below:
        return _below(floor, floor_wait_seconds, needs, holds, remedies)
    return _no_model(wanted, needs, remedies)


def _below(floor: int, wait_seconds: float | None, needs: Sequence[str], holds: str, remedies: Remedies) -> str:
    falls = (
        ""
        if wait_seconds is None
        else f", and lower rungs serve it when that has lasted {duration_words(wait_seconds)}"
    )
    held = f". Held: {holds}" if holds else ""
    lower = f", or {remedies.lower}" if remedies.lower else ""
    return (
        f"no node that takes work reaches rung {floor}{_that_meets(needs)}, the floor of this job{falls}: start a node "
        f"with a better model{lower}{held}"
    )


def _nobody(holds: str) -> str:
    if holds:
        return f"no node is taking work. {holds}"
    return "no node is taking work: start one with `clustercore node` (or see `clustercore nodes` for holds)"


def _unknown(contract: str) -> str:
    return (
        f"no live node knows kind {contract.partition('/')[0]!r} as this job needs it ({contract}): install the hub's "
        "version of clustercore on one (`clustercore up --listen` prints the line), or the package that brings this "
        "kind, and start it again"
    )


def _no_model(wanted: str, needs: Sequence[str], remedies: Remedies) -> str:
    listed = "`clustercore models list --available` on one says what can be pulled"
    if wanted:
        return f"no live node has {wanted}{_that_meets(needs)}: {listed}"
    return f"no live node has a model{_that_meets(needs)}: {remedies.model or listed}"


def _that_meets(needs: Sequence[str]) -> str:
    return f" that offers {', '.join(needs)}" if needs else ""


def node_idles_because(*, floor: int, best_here: str, best_anywhere: str, best_node: str, lower: str = "") -> str:
    """Why waiting work of a capability is not for this node; `lower` says how every rung may take part."""
    where = f" on {best_node}" if best_node else ""
    if floor <= 0:
        # Every rung may serve, so it is not the rung: somebody insists on an engine, a model or a trait.
        asked = f"{best_anywhere}{where}" if best_node else "what no live node has"
        return f"what waits asks for {asked}; this node has {best_here}"
    floor_of = f"the floor while {best_anywhere}{where} is there" if best_node else "the floor of what waits"
    remedy = f"; to let every rung take part, {lower}" if lower else ""
    return f"{best_here} is below rung {floor}, {floor_of}{remedy}"
