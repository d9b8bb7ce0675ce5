"""What the doctor is told of machines: this one's GPUs, and which nodes there are."""

from __future__ import annotations

from collections.abc import Iterator

from clustercore.nodes.adapters.hardware import read_gpus
from clustercore.nodes.selectors import node_statuses
from clustercore.terminal.domain.findings import HINT, OK, Finding
from clustercore.terminal.domain.humanize import counted, memory_words, printable


def hardware_findings() -> Iterator[Finding]:
    """Tells the GPUs of this machine."""
    shown = ", ".join(f"{gpu.name} ({memory_words(gpu.memory_mb)}, driver {gpu.driver})" for gpu in read_gpus())
    yield Finding("gpu", OK, shown or "none, or no NVIDIA driver; everything works without one, large models slowly")


def node_findings() -> Iterator[Finding]:
    """Tells each node that is online, and whether it works."""
    nodes = [node for node in node_statuses() if node.is_live]
    if not nodes:
        yield Finding("nodes", HINT, "none is online; start one with `clustercore node`, or all with `clustercore up`")
    for node in nodes:
        why = f": {node.why}" if node.why else ""
        state = OK if node.condition in ("online", "idle") else HINT
        yield Finding(
            "node", state, f"{printable(node.name)} {node.condition}, {counted(node.slots, 'slot')}{printable(why)}"
        )
