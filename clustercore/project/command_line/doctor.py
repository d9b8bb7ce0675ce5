"""`clustercore doctor`: what works here, what does not, and what to type."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated

from rich.table import Table
from rich.text import Text
from typer import Option

from clustercore.config.environment import environment
from clustercore.embedded.services import EmbeddedError, status
from clustercore.project.command_line.diagnosis import cluster_findings, machine_findings
from clustercore.project.command_line.servers import CLIENT_LINGER_SECONDS, servers, uses_embedded_servers
from clustercore.terminal.adapters.console import output, say, write_json
from clustercore.terminal.domain.endings import ExitCode
from clustercore.terminal.domain.findings import BROKEN, HINT, Finding

MARKS = {"ok": Text("✔", "green"), HINT: Text("•", "yellow"), BROKEN: Text("✘", "red")}
_LINGER_SECONDS = 2.0
"""For servers that were started for the look."""


def doctor(as_json: Annotated[bool, Option("--json", help="For a script.")] = False) -> int:
    """Look at everything that clustercore needs: servers, tables, disk, clock, engines, GPU, hub and nodes.

    What does not run is started for the look and stops again.

    Examples:

      clustercore doctor

      clustercore doctor --json

    Exit codes: 0 if everything needed works (hints included), 1 if something is broken.
    """
    findings = list(_all_findings())
    if as_json:
        write_json([asdict(finding) for finding in findings])
    else:
        output().print(findings_table(findings))
        broken = sum(finding.state == BROKEN for finding in findings)
        say(f"\n{broken} broken." if broken else "\nEverything that is needed works.", "red" if broken else "green")
    return ExitCode.FAILED if any(finding.state == BROKEN for finding in findings) else ExitCode.DONE


def findings_table(findings: list[Finding]) -> Table:
    """One line each."""
    table = Table.grid(padding=(0, 2))
    for finding in findings:
        table.add_row(MARKS[finding.state], Text(finding.about, "cyan"), Text(finding.text))
    return table


def _all_findings() -> Iterator[Finding]:
    yield from machine_findings()
    try:
        runs = not uses_embedded_servers() or status(environment().data_dir)["phase"] == "ready"
        linger = CLIENT_LINGER_SECONDS if runs else _LINGER_SECONDS
        with servers(start=True, linger_seconds=linger):
            yield from cluster_findings()
    except EmbeddedError as error:
        yield Finding("servers", BROKEN, str(error))
