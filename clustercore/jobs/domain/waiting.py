"""Why a job or a node has nothing to do, in words that name the remedy."""

from __future__ import annotations

BLOB_MISSING = "what it needs is no longer stored: it is being made again"
"""Why a unit is held whose blob was found missing."""
BROKER_AWAY = "the broker (Redis) does not answer: "
"""How the reason begins that a node tells which cannot reach it."""


def job_waits_because(
    *,
    capability: str,
    language: str | None,
    engine: str,
    model: str,
    floor: int,
    nodes_online: int,
    nodes_with_capability: int,
    nodes_able: int,
    refused: str = "",
    holds: str = "",
    broker_away: str = "",
) -> str:
    """The reason why nothing of a job runs; empty when some node is able and it only has to be its turn.

    `refused` is what the last node said that tried it and may not try again for now, `holds` which nodes take
    nothing and why, `broker_away` what the broker's absence looks like.
    """
    if nodes_able:
        return f"{BROKER_AWAY}{broker_away}" if broker_away else ""
    if not nodes_online and holds:
        return f"no node is taking work. {holds}"
    if not nodes_online:
        return "no node is taking work: start one with `clustercore node` (or see `clustercore nodes` for holds)"
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
    return _no_model(":".join(part for part in (engine, model) if part), language, floor)


def _no_model(wanted: str, language: str | None, floor: int) -> str:
    if wanted:
        return (
            f"no live node has {wanted} for {_language(language)}: `clustercore models list --available` on one "
            "says how to get it"
        )
    if floor > 0:
        return (
            f"no live node reaches rung {floor} for {_language(language)}: start a node with a better model, "
            "or submit with `--quality any`"
        )
    return (
        f"no live node hears {_language(language)}: `clustercore models pull faster-whisper:small` on one "
        "that has faster-whisper (pip install 'clustercore[faster-whisper]')"
    )


def _language(language: str | None) -> str:
    return f"language {language!r}" if language else "any language"


def node_idles_because(*, floor: int, best_here: str, best_anywhere: str, best_node: str) -> str:
    """Why waiting work of a capability is not for this node."""
    where = f" on {best_node}" if best_node else ""
    if floor <= 0:
        # Every rung may serve, so it is not the rung: somebody insists on an engine, a model or a language.
        asked = f"{best_anywhere}{where}" if best_node else "an engine, model or language that no live node has"
        return f"what waits asks for {asked}; this node has {best_here}"
    return (
        f"{best_here} is below rung {floor}, the floor while {best_anywhere}{where} serves; "
        "`--quality any` lets every rung take part"
    )
