"""Nodes and models on a terminal: rich renderables from plain values. Names from outside become Text, never markup."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from clustercore.nodes.adapters.model_store import StoredModel
from clustercore.nodes.domain.model_catalogue import CatalogueEntry
from clustercore.nodes.domain.node_status import ModelStatus, NodeStatus
from clustercore.terminal.adapters.tables import state_text, table
from clustercore.terminal.domain.humanize import clock_words, factor_words, file_size_words, memory_words, printable

_NAME_WIDTH = 40


def nodes_table(nodes: Sequence[NodeStatus]) -> RenderableType:
    """Returns the nodes, why one does not work, and what each can do."""
    if not nodes:
        return Text("No node has ever joined. Start one: clustercore node", "dim")
    listed = table("node", "state", "busy", "machine", "version", "seen", right=("busy", "seen"))
    for node in nodes:
        state = state_text(node.condition).append(f"\n{printable(node.why)}" if node.why else "", "yellow")
        seen = f"{clock_words(node.seen_seconds_ago)} ago"
        listed.add_row(
            Text(printable(node.name, _NAME_WIDTH), "bold"), state, f"{node.busy}/{node.slots}", _machine(node),
            node.version, seen,
        )  # fmt: skip
    return Group(listed, *(_models_of(node) for node in nodes if node.models and node.is_live))


def _machine(node: NodeStatus) -> Text:
    words = f"{node.cores} cores, {memory_words(node.memory_mb)}, {node.operating_system} {node.architecture}"
    return Text(words).append("".join(f"\n{gpu}" for gpu in node.gpus))


def _models_of(node: NodeStatus) -> RenderableType:
    return Group(Text(f"\n{printable(node.name)} can do", "bold"), models_table(node.models))


def models_table(models: Iterable[ModelStatus]) -> RenderableType:
    """Returns usable models with what their self-test said, and the others with the reason."""
    listed = Table.grid(padding=(0, 2))
    listed.add_column(width=2)
    for model in models:
        mark = Text("✔", "green") if model.usable else Text("✘", "red")
        listed.add_row(mark, model.capability, Text(model.label), _about(model))
    return listed


def stored_models_table(models: Sequence[StoredModel], directory: str) -> RenderableType:
    """Returns what lies on this machine's disk."""
    if not models:
        return Text(
            f"No models in {printable(directory)}. What can be pulled: clustercore models list --available", "dim"
        )
    listed = table("model", "size", "state", "", right=("size",))
    for model in models:
        style = "red" if model.state == "quarantined" else "green"
        size = file_size_words(model.size_bytes)
        listed.add_row(Text(model.label), size, Text(model.state, style), Text(printable(model.detail)))
    return Group(listed, Text(f"in {printable(directory)}", "dim"))


def catalogue_table(entries: Iterable[CatalogueEntry], here: Collection[str]) -> RenderableType:
    """Returns what can be pulled."""
    listed = table("can be pulled", "size", "languages", "checksum", "", right=("size",))
    for entry in entries:
        size = file_size_words(entry.size_mb * 1e6) if entry.size_mb else ""
        known = "not known" if entry.unknown_checksums else "known"
        listed.add_row(Text(entry.label), size, entry.languages, known, "here" if entry.label in here else "")
    return Group(Text(), listed)


def _about(model: ModelStatus) -> Text:
    if not model.usable:
        return Text(printable(model.reason), "yellow")
    parts = ranking_words(model.rung, model.traits)
    test = model.self_test
    if test.get("passed"):
        factor = test.get("real_time_factor")
        speed = f", {factor_words(1 / factor)} real time" if factor else ""
        parts.append(f"self-test passed{speed} {test.get('device', '')}".strip())
    elif test:
        return Text(f"{', '.join(parts)}; self-test FAILED: {printable(str(test.get('note', '')))}", "red")
    return Text(", ".join(parts))


def ranking_words(rung: int, traits: Sequence[str]) -> list[str]:
    """Returns what sets one model apart from another of its capability; nothing where none is better."""
    if not traits:
        return []
    return [f"rung {rung}", ", ".join(traits)]
