"""Why a job or a node has nothing to do, in words that name the remedy."""

from __future__ import annotations

from clustercore.jobs.domain.words import duration_words

BLOB_MISSING = "what it needs is no longer stored: it is being made again"
"""Why a unit is held whose blob was found missing."""
BROKER_AWAY = "the broker (Redis) does not answer: "
"""How the reason begins that a node tells which cannot reach it."""


def job_waits_because(
    *,
    contract: str,
    capability: str,
    language: str | None,
    engine: str,
    model: str,
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

    `floor_wait_seconds` is after how long the floor falls that nobody reaches; None where it does not.
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
    return _below(floor, floor_wait_seconds, language, holds) if below else _no_model(wanted, language)


def _below(floor: int, wait_seconds: float | None, language: str | None, holds: str) -> str:
    falls = (
        ""
        if wait_seconds is None
        else f", and lower rungs serve it when that has lasted {duration_words(wait_seconds)}"
    )
    held = f". Held: {holds}" if holds else ""
    return (
        f"no node that takes work reaches rung {floor} for {_language(language)}, the floor of this job{falls}: start "
        f"a node with a better model, or submit with `--quality any`{held}"
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


def _no_model(wanted: str, language: str | None) -> str:
    if wanted:
        return (
            f"no live node has {wanted} for {_language(language)}: `clustercore models list --available` on one "
            "says how to get it"
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
    floor_of = f"the floor while {best_anywhere}{where} is there" if best_node else "the floor of what waits"
    return f"{best_here} is below rung {floor}, {floor_of}; `--quality any` lets every rung take part"
