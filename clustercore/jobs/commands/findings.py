"""What the doctor is told of work: which engines of this machine can do what the kinds of job ask for."""

from __future__ import annotations

from collections.abc import Iterator

from clustercore.config.environment import environment
from clustercore.jobs.domain.kinds import kinds
from clustercore.nodes.adapters.inventory import inventory_here
from clustercore.nodes.commands.rendering import ranking_words
from clustercore.terminal.domain.findings import BROKEN, HINT, OK, Finding
from clustercore.terminal.domain.humanize import printable


def engine_findings() -> Iterator[Finding]:
    """Tells every engine's models, and which capability that a kind of job needs has none."""
    inventory = inventory_here(environment())
    for model in inventory.models:
        record = model.record
        about = " ".join(dict.fromkeys((record.capability, record.engine)))
        if record.usable:
            yield Finding(about, OK, ", ".join([record.model, *ranking_words(model.rung, record.traits)]))
        else:
            yield Finding(about, HINT, printable(record.reason))
    for capability in needed_capabilities():
        if capability not in inventory.capabilities():
            yield Finding(capability, BROKEN, f"no engine of this machine can do {capability!r}: see the lines above")


def needed_capabilities() -> list[str]:
    """Returns what the stages of the registered kinds of job ask of a node."""
    return sorted({stage.capability for kind in kinds() for stage in kind.stages})
