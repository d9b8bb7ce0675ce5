"""The commands of machines and their models, by name, and what the doctor is told of this one."""

from __future__ import annotations

from clustercore.terminal.domain.commands import MACHINES, Command

COMMANDS = (
    Command(
        "nodes",
        f"{__name__}.nodes:nodes",
        "List the nodes: state and its reason, machine, models with their rung and self-test.",
        MACHINES,
    ),
    Command("models", f"{__name__}.models:models", "List, pull and remove the models of this machine.", MACHINES),
)
FINDINGS = (f"{__name__}.findings:hardware_findings",)
CLUSTER_FINDINGS = (f"{__name__}.findings:node_findings",)
