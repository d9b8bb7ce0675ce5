"""`clustercore nodes rm`: a node that is gone for good leaves the lists, any other stays."""

from __future__ import annotations

import subprocess
from pathlib import Path

from clustercore.nodes.models import Node
from tests.cast import LAPTOP, WORKSTATION, start_node, stop_node
from tests.fork_server import fork_server


def typed(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    command = ["-m", "clustercore.project.command_line.main", "nodes", *words]
    return fork_server().run(command, environment, Path.cwd(), timeout=100)


def test_one_that_is_offline_is_forgotten_and_one_that_works_is_not(service_environment: dict[str, str]) -> None:
    start_node(WORKSTATION)
    Node.objects.update(heartbeat_seconds=3600)
    stop_node(start_node(LAPTOP))

    gone, working, unknown = (typed(service_environment, "rm", name) for name in (LAPTOP, WORKSTATION, "nowhere"))

    assert (gone.returncode, working.returncode, unknown.returncode) == (0, 1, 2)
    assert "is online" in working.stderr
    assert "there is no node 'nowhere'" in unknown.stderr
    assert list(Node.objects.values_list("name", flat=True)) == [WORKSTATION]
