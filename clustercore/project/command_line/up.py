"""`clustercore up` and `clustercore down`: the hub of a cluster, in the foreground or detached."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, NoReturn

from rich.text import Text
from typer import Option

from clustercore.config.environment import environment
from clustercore.config.interpreter import python_command
from clustercore.embedded.adapters.descriptors import raise_descriptor_limit
from clustercore.embedded.adapters.directories import layout_of
from clustercore.embedded.adapters.gateway import Address, GatewayLimits, public_urls, running_gateway, upstreams_of
from clustercore.embedded.adapters.locks import becomes_free, is_locked, try_lock
from clustercore.embedded.adapters.logs import rotate, tail
from clustercore.embedded.adapters.progress import Patience, strides
from clustercore.embedded.selectors import gateway_secret
from clustercore.embedded.services import stop
from clustercore.project.command_line.hub import Hub, NodeWish, running_hub, wait_for_nodes
from clustercore.project.command_line.listening import (
    ListenAddress,
    parse_listen,
    reachable_host,
    require_bindable,
)
from clustercore.project.command_line.processes import spawn_detached
from clustercore.project.command_line.screens import UpState, up_screen
from clustercore.project.command_line.servers import (
    endpoints,
    log_directory,
    note,
    run_directory,
    uses_embedded_servers,
)
from clustercore.terminal.adapters.console import errors, output, remark, say
from clustercore.terminal.domain.endings import CommandError, ExitCode

LOCK = "up.lock"
STATE = "up.json"
LOG = "up.log"
QUIET_SECONDS = 120.0
"""An `up` that starts is waited for as long as it gets on: it ends by itself where it cannot."""

DOWN_SPARE_SECONDS = 25.0
_POLL_SECONDS = 0.2
_KEEP_SECONDS = 1.0
"""How often it is looked at what is not supervised: the servers' lease, and our own log."""
ListenOption = Annotated[
    str | None, Option("--listen", metavar="ADDRESS[:PORT]", help="Let other machines join at this address.")
]


def up(
    listen: ListenOption = None,
    no_node: Annotated[bool, Option("--no-node", help="Hub only: no work is done on this machine.")] = False,
    no_flower: Annotated[bool, Option("--no-flower", help="Without Flower, Celery's own page.")] = False,
    slots: Annotated[int | None, Option(min=1, max=64, help="Pieces of work at once on this machine.")] = None,
    name: Annotated[str | None, Option(help="Name of this machine's node; by default the machine's.")] = None,
    port: Annotated[int, Option(min=0, max=65535, help="Loopback port of the web process; 0: last or free.")] = 0,
    detach: Annotated[bool, Option("--detach", "-d", help="Go to the background once everything is ready.")] = False,
) -> int:
    """Start the cluster on this machine: servers, web process and a worker node.

    Nothing has to be installed or configured. The data lie in /var/lib/clustercore for root and in your data
    directory otherwise; `--data-dir DIR` chooses another.

    Examples:

      clustercore up                        in this terminal, until Ctrl-C

      clustercore up -d                     in the background, until `clustercore down`

      clustercore up -d --listen 0.0.0.0    and other machines may join
    """
    _require_system()
    address = parse_listen(listen) if listen else None
    if is_locked(run_directory() / LOCK):
        return _already_up(address, port)
    if address is not None:
        _require_no_debug()
        require_bindable(address)
    if detach:
        return _detach(address, port)
    wishes = [] if no_node else [NodeWish(name, slots)]
    lock = try_lock(run_directory() / LOCK)
    if lock is None:
        return _already_up(address, port)
    try:
        return _run(wishes, address, port, flower=not no_flower)
    finally:
        (run_directory() / STATE).unlink(missing_ok=True)
        os.close(lock)


def down() -> int:
    """Stop what `clustercore up` started: nodes (with their grace), web process and servers.

    Work in hand is handed back and goes on after the next `clustercore up`. Exit code 0, also when nothing ran.

    Examples:

      clustercore down
    """
    _require_system()
    data_dir = environment().data_dir
    stopped: list[str] = []
    state = read_state() if is_locked(run_directory() / LOCK) else None
    if state is not None:
        _stop_up(state)
        stopped += [*(f"node {name}" for name in state.nodes), f"the web process {state.web_url}"]
    found = uses_embedded_servers() and stop(data_dir)
    if found or (state is not None and state.embedded):
        stopped.append("PostgreSQL and Redis")
    if stopped:
        say(f"Stopped: {', '.join(stopped)}. The data stay in {data_dir}.")
    else:
        say(f"Nothing runs in {data_dir}.")
    return ExitCode.DONE


def read_state() -> UpState | None:
    """What a running `up` noted of itself; None before it is ready."""
    try:
        document: dict[str, Any] = json.loads((run_directory() / STATE).read_text(encoding="ascii"))
        return UpState(**document)
    except (OSError, ValueError, TypeError):
        return None


def _run(wishes: list[NodeWish], listen: ListenAddress | None, port: int, *, flower: bool) -> int:
    raise_descriptor_limit()
    state = UpState(pid=os.getpid(), phase="starting", data_dir=str(environment().data_dir))
    _write_state(state)
    with stop_signals() as stopping, ExitStack() as stack:
        try:
            hub = stack.enter_context(running_hub(wishes, _tell, port=port, flower=flower))
            stopping.hub = hub
            state = _open(stack, hub, wishes, listen)
            wait_for_nodes(hub, state.nodes, _tell)
            state.phase, state.setup_path = "ready", hub.ledger.ask("setup_path")
            hub.ledger.close()
            noted = _write_state(state)
            with suppress(OSError):
                output().print(up_screen(state, for_a_log=not sys.stdout.isatty()), crop=False)
            _keep(hub, state, noted)
        except KeyboardInterrupt:
            grace = environment().grace_seconds
            remark(f"Stopping; nodes get {grace:g} s for what they have in hand (once more: at once) …")
    _stop_servers_nobody_holds()
    remark("Stopped.")
    return ExitCode.DONE


def _keep(hub: Hub, state: UpState, noted: bool) -> NoReturn:
    """Until KeyboardInterrupt. Raises CommandError when the embedded servers are gone for good."""
    while True:
        hub.keep(remark)
        noted = noted or _write_state(state)
        rotate(log_directory() / LOG)
        time.sleep(_KEEP_SECONDS)


def _stop_servers_nobody_holds() -> None:
    """At once rather than after their linger, unless another command works with them just now."""
    if uses_embedded_servers():
        stop(environment().data_dir, unless_held=True)


def _open(stack: ExitStack, hub: Hub, wishes: list[NodeWish], listen: ListenAddress | None) -> UpState:
    state = UpState(
        pid=os.getpid(),
        phase="nodes",
        data_dir=str(environment().data_dir),
        web_url=hub.web_url,
        nodes=[wish.shown_name for wish in wishes],
        embedded=uses_embedded_servers(),
    )
    if listen is not None:
        web = Address("127.0.0.1", hub.web_port, preface_secret=gateway_secret(environment().data_dir))
        limits = GatewayLimits.for_database(*hub.ledger.ask("login_limits"))
        gateway = running_gateway(listen.host, listen.port, upstreams_of(endpoints(), web), limits)
        host, port = stack.enter_context(gateway)
        shown = reachable_host(host)
        state.listens_on, state.listen_asked = f"{host}:{port}", f"{listen.host}:{listen.port}"
        state.database_url, state.redis_url = public_urls(endpoints(), shown, port)
        state.public_url = f"http://{f'[{shown}]' if ':' in shown else shown}:{port}"
    _write_state(state)
    return state


def _detach(listen: ListenAddress | None, port: int) -> int:
    """The same command once more, as a process of its own; returns when it is ready or has failed."""
    words = [word for word in sys.argv[1:] if word not in ("-d", "--detach")]
    log = log_directory() / LOG
    log.unlink(missing_ok=True)
    process = spawn_detached(python_command("-m", "clustercore.project.command_line.main", *words), log)
    try:
        state = _wait_until_ready(process, log)
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        raise
    if state is None:
        return _already_up(listen, port)
    output().print(up_screen(state, detached_log=str(log)), crop=False)
    return ExitCode.DONE


def _wait_until_ready(process: subprocess.Popen[bytes], log: Path) -> UpState | None:
    """What was started; None where another `up` was faster. Raises CommandError."""
    patience = Patience(QUIET_SECONDS)
    with errors().status("starting …") as status:
        while patience.lasts(lambda: (tail(log), strides(process.pid))):
            state = read_state()
            # What `up` said last is what it waits for.
            status.update(Text(tail(log).rpartition("\n")[2] or "starting …"))
            if state is not None and state.pid == process.pid and state.phase == "ready":
                return state
            if process.poll() is not None:
                if is_locked(run_directory() / LOCK):
                    return None
                raise CommandError(f"it did not start. Its log, {log}:\n{tail(log)}", ExitCode.UNREACHABLE)
            time.sleep(_POLL_SECONDS)
    raise CommandError(f"nothing has moved for {QUIET_SECONDS:.0f} s; see {log}, and `clustercore down` ends it")


def _already_up(listen: ListenAddress | None, port: int) -> int:
    """Waits until the `up` that runs is ready, and shows it. Raises CommandError."""
    state = _state_of_other()
    # Used or not, the file alone tells: it goes with the first administrator.
    state.setup_path = state.setup_path if layout_of(environment().data_dir).setup_link.exists() else ""
    output().print(up_screen(state, already=True), crop=False)
    wanted = f"{listen.host}:{listen.port}" if listen is not None else ""
    if wanted and wanted not in (state.listens_on, state.listen_asked):
        raise CommandError("--listen was not applied: `clustercore down` first, then `clustercore up --listen` again")
    if port and not state.web_url.endswith(f":{port}"):
        raise CommandError("--port was not applied: `clustercore down` first, then `clustercore up --port` again")
    return ExitCode.DONE


def _state_of_other() -> UpState:
    patience, state = Patience(QUIET_SECONDS), read_state()
    with errors().status("another `clustercore up` is starting; waiting for it …"):
        while patience.lasts(lambda: _signs_of(read_state())):
            if state is not None and state.phase == "ready":
                return state
            if not is_locked(run_directory() / LOCK):
                raise CommandError("another `clustercore up` ended before it was ready: try again")
            time.sleep(_POLL_SECONDS)
            state = read_state()
    raise CommandError(
        f"another `clustercore up` is not ready, and nothing has moved for {QUIET_SECONDS:.0f} s; "
        "`clustercore down` ends it"
    )


def _stop_up(state: UpState) -> None:
    with suppress(ProcessLookupError):
        os.kill(state.pid, signal.SIGTERM)
    seconds = environment().grace_seconds + DOWN_SPARE_SECONDS
    with errors().status(f"stopping (up to {environment().grace_seconds:g} s of grace for work in hand) …"):
        if not becomes_free(run_directory() / LOCK, seconds):
            raise CommandError(f"process {state.pid} did not end within {seconds:.0f} s; see {log_directory()}")


def _require_no_debug() -> None:
    """Django's debug pages show settings and source to whoever makes a request fail."""
    if environment().debug:
        message = (
            "--listen is refused with CLUSTERCORE_DEBUG=true, which shows the hub's insides to strangers: unset it"
        )
        raise CommandError(message, ExitCode.USAGE)


def _require_system() -> None:
    if sys.platform == "win32":
        raise CommandError(
            "a hub needs Linux or macOS; this machine can be a worker node: set DATABASE_URL and REDIS_URL to what "
            "`clustercore up --listen` printed on the hub, then type `clustercore node`",
            ExitCode.USAGE,
        )


def _write_state(state: UpState) -> bool:
    """Whether the disk took it: a full one must not end the hub."""
    with suppress(OSError):
        note(run_directory() / STATE, json.dumps(asdict(state)))
        return True
    return False


def _tell(text: str) -> None:
    remark(f"… {text}", "dim")


def _signs_of(state: UpState | None) -> object:
    return (state.phase, strides(state.pid)) if state is not None else None


@dataclass
class Stopping:
    """Whether a stop was asked for, and what a second request hurries."""

    asked: bool = False
    hub: Hub | None = None

    def on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if not self.asked:
            self.asked = True
            raise KeyboardInterrupt
        if self.hub is not None:
            self.hub.supervision.hurry()


@contextmanager
def stop_signals() -> Iterator[Stopping]:
    """SIGINT, SIGTERM and SIGHUP raise KeyboardInterrupt once; after that they hurry the nodes."""
    stopping = Stopping()
    numbers = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    before = {number: signal.signal(number, stopping.on_signal) for number in numbers}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
