"""The hub of a cluster on this machine: servers, tables, store, web process and local nodes, up together."""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from clustercore.config.environment import environment
from clustercore.embedded.adapters.progress import Patience, strides
from clustercore.embedded.adapters.secrets import free_loopback_port
from clustercore.embedded.services import Lease
from clustercore.project import web_command
from clustercore.project.command_line.ledger_process import LedgerProcess, ledger_process
from clustercore.project.command_line.log_rotation import rotate
from clustercore.project.command_line.on_demand import OnDemand
from clustercore.project.command_line.processes import (
    Child,
    end_children,
    flower_command,
    hub_variables,
    keyless_variables,
    node_command,
    node_variables,
)
from clustercore.project.command_line.servers import (
    log_directory,
    note,
    run_directory,
    servers,
    uses_embedded_servers,
)
from clustercore.project.flower.process import socket_path, wanted_path
from clustercore.terminal.domain.endings import CommandError, ExitCode, Unreachable

WEB_PORT_FILE = "web.port"
QUIET_SECONDS = 90.0
"""A web process or nodes that start are waited for as long as they get on, and for so long without a sign of it."""

TOLD_AFTER_SECONDS = 15.0
_POLL_SECONDS = 0.1
_SPARE_SECONDS = 4.0
"""What a node may need beyond its grace."""

_WEB_END_SECONDS = 12.0

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
    web: list[Child] = field(default_factory=list)
    flower: OnDemand | None = None
    """Behind the web process, while somebody looks at it."""
    nodes: list[Child] = field(default_factory=list)
    _told: str = ""

    @property
    def children(self) -> list[Child]:
        """All that should run, in the order of their start."""
        return [*self.web, *self.nodes]

    @property
    def is_whole(self) -> bool:
        """Whether all run that should."""
        return all(child.exit_code is None for child in self.children)

    def keep(self, tell: Tell) -> None:
        """Starts again what died. Raises CommandError when the embedded servers are gone for good."""
        if self.lease is not None and self.lease.ended.is_set():
            raise CommandError(f"the embedded servers ended: {self.lease.reason}")
        self._tell_of_servers(tell)
        for child in self.children:
            self._keep(child, child.keep, tell)
        if self.flower is not None:
            self._keep(self.flower.child, self.flower.keep, tell)

    def _keep(self, child: Child, keep: Callable[[], str], tell: Tell) -> None:
        rotate(child.log)
        said = keep()
        if said:
            tell(f"{said}; its log: {child.log}")

    def _tell_of_servers(self, tell: Tell) -> None:
        """Once for each change of reason."""
        waits_for = self.lease.waits_for if self.lease is not None else ""
        if waits_for != self._told:
            self._told = waits_for
            tell(waits_for or "PostgreSQL and Redis run again")


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
        hub = Hub(f"http://127.0.0.1:{chosen}", chosen, lease, ledger)
        ledger.ask("establish", web_url=hub.web_url)
        tell("starting the web process" + (" and the nodes" if nodes else ""))
        stack.callback(_end, hub)
        _start_children(hub, nodes, flower)
        wait_for_web(hub, tell)
        yield hub


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


def wait_for_web(hub: Hub, tell: Tell) -> None:
    """Returns when the web process answers. Raises CommandError with the end of its log."""
    child, patience, slow = hub.web[0], Patience(QUIET_SECONDS), _Slow(tell)
    while child.exit_code is None and patience.lasts(lambda: strides(child.pid)):
        slow.tell_once(f"still waiting for the web process; its log: {child.log}")
        if _answers(hub.web_port):
            return
        time.sleep(_POLL_SECONDS)
    raise CommandError(f"the web process does not answer on {hub.web_url}. Its log, {child.log}:\n{child.log_tail()}")


def _answers(port: int) -> bool:
    """Whether anything at all is answered."""
    connection = HTTPConnection("127.0.0.1", port, timeout=5.0)
    try:
        connection.request("GET", "/healthz")
        connection.getresponse()
        return True
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def wait_for_nodes(hub: Hub, names: Sequence[str], tell: Tell) -> None:
    """Returns when all nodes have registered; keeps the hub while waiting. Raises Unreachable with a log's end."""
    patience, slow, children = Patience(QUIET_SECONDS), _Slow(tell), hub.nodes
    while True:
        found = registered(hub, names)
        if len(found) == len(names):
            return
        if not patience.lasts(lambda: [strides(child.pid) for child in children]):
            break
        hub.keep(tell)
        slow.tell_once(f"still waiting for {', '.join(sorted(set(names) - set(found)))}; logs: {log_directory()}")
        for child in children:
            if child.restarts > 2:
                raise CommandError(f"{child.name} does not stay up. Its log, {child.log}:\n{child.log_tail()}")
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
    process_ids = [child.pid for child in hub.nodes if child.pid is not None]
    found: list[str] = hub.ledger.ask("registered", names=list(names), process_ids=process_ids)
    return found


def _start_children(hub: Hub, nodes: Sequence[NodeWish], flower: bool) -> None:
    logs = log_directory()
    hub.web.append(_web_child(hub.web_port, logs))
    if flower:
        hub.flower = _flower(logs)
        hub.flower.open()
    else:
        wanted_path(environment().data_dir).unlink(missing_ok=True)
    hub.nodes += [_node_child(wish, logs) for wish in nodes]
    for child in hub.children:
        child.start()


def _web_child(port: int, logs: Path) -> Child:
    return Child("the web process", web_command.command(port=port), logs / "web.log", hub_variables())


def _flower(logs: Path) -> OnDemand:
    settings = environment()
    socket_path(settings.data_dir).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    child = Child("Flower", flower_command(), logs / "flower.log", keyless_variables())
    return OnDemand(child, wanted_path(settings.data_dir), settings.idle_flower_seconds)


def _node_child(wish: NodeWish, logs: Path) -> Child:
    command = node_command(wish.shown_name)
    log = logs / f"node-{_as_file_name(wish.shown_name)}.log"
    return Child(f"node {wish.shown_name}", command, log, node_variables(wish.name, wish.slots))


def _as_file_name(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in name)[:80]


def _end(hub: Hub) -> None:
    """Nodes first: what they finish in their grace may still fetch from the web process."""
    end_children(hub.nodes, environment().grace_seconds + _SPARE_SECONDS)
    web = list(hub.web)
    if hub.flower is not None:
        hub.flower.close()
        web.append(hub.flower.child)
    end_children(web, _WEB_END_SECONDS)


def _last_port(path: Path) -> int:
    with suppress(OSError, ValueError):
        return int(path.read_text(encoding="ascii"))
    return 0


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return port > 0 and probe.connect_ex(("127.0.0.1", port)) != 0
