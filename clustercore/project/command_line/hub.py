"""The hub of a cluster on this machine: servers, tables, store, web process and local nodes, up together."""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from clustercore.config.environment import environment
from clustercore.embedded.adapters.logs import tail
from clustercore.embedded.adapters.progress import Patience, strides
from clustercore.embedded.adapters.secrets import free_loopback_port
from clustercore.embedded.adapters.supervised import SupervisedProgram
from clustercore.embedded.adapters.supervising_thread import SupervisingThread, supervising
from clustercore.embedded.services import Lease
from clustercore.project.command_line.ledger_process import LedgerProcess, ledger_process
from clustercore.project.command_line.processes import flower_program, node_program, web_program
from clustercore.project.command_line.servers import (
    log_directory,
    note,
    run_directory,
    servers,
    uses_embedded_servers,
)
from clustercore.project.flower.process import wanted_path
from clustercore.terminal.adapters.console import remark
from clustercore.terminal.domain.endings import CommandError, ExitCode, Unreachable

WEB_PORT_FILE = "web.port"
QUIET_SECONDS = 90.0
"""A web process or nodes that start are waited for as long as they get on, and for so long without a sign of it."""

TOLD_AFTER_SECONDS = 15.0
_POLL_SECONDS = 0.1
_MOST_RESTARTS = 2

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class NodeWish:
    """A local node to start; None leaves the name or the slots to the machine."""

    name: str | None = None
    slots: int | None = None

    @property
    def shown_name(self) -> str:
        return self.name or environment().node_name


@dataclass
class Hub:
    """What runs."""

    web_url: str
    web_port: int
    lease: Lease | None
    ledger: LedgerProcess
    """Whom to ask until all is ready; close it then."""
    supervision: SupervisingThread
    nodes: Sequence[SupervisedProgram]
    _told: str = ""

    def keep(self, tell: Tell, most_restarts: float = math.inf) -> None:
        """Looks whether all goes on. Raises CommandError when the embedded servers are gone for good, or a program
        of ours has been started again so often."""
        if self.lease is not None and self.lease.ended.is_set():
            raise CommandError(f"the embedded servers ended: {self.lease.reason}")
        waits_for = self.lease.waits_for if self.lease is not None else ""
        if waits_for != self._told:
            self._told = waits_for
            tell(waits_for or "PostgreSQL and Redis run again")
        self.supervision.check()
        for one in self.supervision.programs:
            if one.restarts > most_restarts:
                raise CommandError(f"{one.program.name} does not stay up. {_log_of(one)}")


@contextmanager
def running_hub(
    nodes: Sequence[NodeWish], tell: Tell, *, port: int = 0, linger_seconds: float = 30.0, flower: bool = False
) -> Iterator[Hub]:
    """Everything up, and down again at the end of the block, nodes first, with their grace.

    Raises EmbeddedError, OperationalError, BlobError, CommandError.
    """
    with ExitStack() as stack:
        tell("starting PostgreSQL and Redis" if uses_embedded_servers() else "connecting to PostgreSQL and Redis")
        lease = stack.enter_context(servers(start=True, linger_seconds=linger_seconds, tell=tell))
        tell("preparing the database")
        ledger = stack.enter_context(ledger_process())
        if told := ledger.ask("migrate"):
            tell(told)
        chosen = choose_port(port, tell)
        url = f"http://127.0.0.1:{chosen}"
        ledger.ask("establish", web_url=url)
        tell("starting the web process" + (" and the nodes" if nodes else ""))
        supervision = stack.enter_context(supervising(remark))
        web = supervision.keep(web_program(chosen))
        _start_flower(supervision, flower)
        started = [supervision.keep(node_program(wish.name, wish.slots)) for wish in nodes]
        _wait_for_web(web, url, tell)
        yield Hub(url, chosen, lease, ledger, supervision, started)


def _start_flower(supervision: SupervisingThread, flower: bool) -> None:
    if flower:
        supervision.keep(flower_program())
    else:
        wanted_path(environment().data_dir).unlink(missing_ok=True)


def choose_port(port: int, tell: Tell) -> int:
    """The port asked for, else the one used last time if it is free, else any free one; it is noted.

    Raises CommandError where another program listens on the one asked for.

    Only here does it ever move: a web process that dies waits for its port, which others know by then.
    """
    path = run_directory() / WEB_PORT_FILE
    last = _last_port(path)
    if port and not _is_free(port):
        raise CommandError(
            f"--port: another program listens on 127.0.0.1:{port}. Choose another port, or 0 for a free one.",
            ExitCode.USAGE,
        )
    if port or _is_free(last):
        chosen = port or last
    else:
        chosen = free_loopback_port()
        if last:
            tell(f"port {last} is taken by another program: the pages move to port {chosen}")
    with suppress(OSError):
        note(path, str(chosen))
    return chosen


def _wait_for_web(web: SupervisedProgram, url: str, tell: Tell) -> None:
    """Returns when the web process answers. Raises CommandError with the end of its log."""
    patience, slow = Patience(QUIET_SECONDS), _Slow(tell)
    while web.state in ("starting", "ready") and patience.lasts(lambda: strides(web.pid)):
        slow.tell_once(f"still waiting for the web process; its log: {web.program.log}")
        if web.state == "ready":
            return
        time.sleep(_POLL_SECONDS)
    raise CommandError(f"the web process does not answer on {url}. {_log_of(web)}")


def _log_of(one: SupervisedProgram) -> str:
    return f"Its log, {one.program.log}:\n{tail(one.program.log)}"


def wait_for_nodes(hub: Hub, names: Sequence[str], tell: Tell) -> None:
    """Returns when all nodes have registered; keeps the hub while waiting. Raises Unreachable with a log's end."""
    patience, slow = Patience(QUIET_SECONDS), _Slow(tell)
    while True:
        found = registered(hub, names)
        if len(found) == len(names):
            return
        if not patience.lasts(lambda: [strides(node.pid) for node in hub.nodes]):
            break
        hub.keep(tell, _MOST_RESTARTS)
        slow.tell_once(f"still waiting for {', '.join(sorted(set(names) - set(found)))}; logs: {log_directory()}")
        time.sleep(_POLL_SECONDS)
    raise Unreachable(
        f"the nodes did not register, and nothing moved for {QUIET_SECONDS:.0f} s; their logs lie in {log_directory()}"
    )


class _Slow:
    """Says what is waited for, once it has taken long."""

    def __init__(self, tell: Tell) -> None:
        self._tell, self._due = tell, time.monotonic() + TOLD_AFTER_SECONDS

    def tell_once(self, text: str) -> None:
        if time.monotonic() >= self._due:
            self._due = math.inf
            self._tell(text)


def registered(hub: Hub, names: Sequence[str]) -> list[str]:
    """Returns the names of those of the hub's own nodes that are online and no longer starting."""
    process_ids = [node.pid for node in hub.nodes if node.pid is not None]
    found: list[str] = hub.ledger.ask("registered", names=list(names), process_ids=process_ids)
    return found


def _last_port(path: Path) -> int:
    with suppress(OSError, ValueError):
        return int(path.read_text(encoding="ascii"))
    return 0


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return port > 0 and probe.connect_ex(("127.0.0.1", port)) != 0
