"""`clustercore doctor`: what works here, what does not, and what to type."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated

from rich.table import Table
from rich.text import Text
from typer import Option

from clustercore.config.environment import environment
from clustercore.embedded.services import EmbeddedError, status, stop
from clustercore.project.command_line.diagnosis import cluster_findings, machine_findings
from clustercore.project.command_line.servers import servers, uses_embedded_servers
from clustercore.terminal.adapters.console import output, say, write_json
from clustercore.terminal.domain.endings import ExitCode
from clustercore.terminal.domain.findings import BROKEN, HINT, Finding

MARKS = {"ok": Text("✔", "green"), HINT: Text("•", "yellow"), BROKEN: Text("✘", "red")}


def doctor(as_json: Annotated[bool, Option("--json", help="For a script.")] = False) -> int:
    """Look at everything that clustercore needs: servers, tables, disk, clock, engines, GPU, hub and nodes.

    Servers that do not run are started for the look, and have stopped again when it ends.

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
        with _servers_as_before(), servers(start=True):
            yield from cluster_findings()
    except EmbeddedError as error:
        yield Finding("servers", BROKEN, str(error))


@contextmanager
def _servers_as_before() -> Iterator[None]:
    """Stops, at the end of the block, servers that did not run before it, unless somebody else holds them by then."""
    data_dir = environment().data_dir
    ran = not uses_embedded_servers() or status(data_dir)["phase"] == "ready"
    try:
        yield
    finally:
        if not ran:
            stop(data_dir, unless_held=True)
