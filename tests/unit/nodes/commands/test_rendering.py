"""What a person reads of nodes."""

from __future__ import annotations

from datetime import UTC, datetime
from io import StringIO
from typing import Any

from rich.console import Console, RenderableType

from clustercore.nodes.commands.rendering import nodes_table
from clustercore.nodes.domain.node_status import ModelStatus, NodeStatus

AT = datetime(2026, 1, 1, tzinfo=UTC)


def shown(renderable: RenderableType) -> str:
    console = Console(file=StringIO(), width=160, color_system=None)
    console.print(renderable)
    return str(console.file.getvalue())  # type: ignore[attr-defined]


def a_node(**changes: Any) -> NodeStatus:
    values: dict[str, Any] = {
        "id": 1, "name": "laptop", "hostname": "laptop", "condition": "online", "why": "",
        "operating_system": "Linux 6", "architecture": "x86_64", "cores": 4, "memory_mb": 8000, "gpus": (),
        "version": "0.1.0", "slots": 2, "busy": 1, "last_seen": AT, "seen_seconds_ago": 1.0, "started": AT,
        "drained": False, "capabilities": (), **changes,
    }  # fmt: skip
    return NodeStatus(**values)


def test_a_held_node_says_why() -> None:
    text = shown(nodes_table([a_node(condition="held", why="on battery")]))

    assert "held" in text
    assert "on battery" in text


def test_a_model_that_cannot_be_used_says_why_and_one_that_can_says_how_fast() -> None:
    models = (
        ModelStatus(
            capability="stt", label="pocketsphinx:en-us", rung=0, traits=("lang:en",), memory_mb=100, usable=True,
            self_test={"passed": True, "real_time_factor": 0.25, "device": "cpu"},
        ),
        ModelStatus(
            capability="stt", label="vosk:en-small", rung=1, traits=("lang:en",), memory_mb=0, usable=False,
            reason="no Vosk model is here; type: clustercore models pull vosk:en-small",
        ),
    )  # fmt: skip

    text = shown(nodes_table([a_node(models=models)]))

    assert "self-test passed, 4.0× real time" in text  # noqa: RUF001
    assert "clustercore models pull vosk:en-small" in text


def test_a_node_without_any_model_is_still_shown() -> None:
    assert "laptop" in shown(nodes_table([a_node()]))


def test_without_nodes_it_says_what_to_type() -> None:
    assert "clustercore node" in shown(nodes_table([]))
