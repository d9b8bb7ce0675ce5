"""The processes of a hub beside its servers: as commands, and as programs that are supervised."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from clustercore.config.environment import environment
from clustercore.config.interpreter import child_variables, python_command
from clustercore.embedded.adapters.program import Demand, Program
from clustercore.project import web_command
from clustercore.project.command_line.servers import log_directory
from clustercore.project.flower.process import arguments, socket_path, wanted_path

WEB_END_SECONDS = 12.0
FLOWER_END_SECONDS = 10.0
SPARE_SECONDS = 4.0
"""What a node may need beyond its grace."""

KILL_SECONDS = 5.0
_WORKER = "import sys; from clustercore.project.command_line.worker import run; sys.exit(run(sys.argv[-1]))"
_FLOWER = (
    "import sys; from clustercore.project.command_line.flower_process import run_celery; "
    "sys.exit(run_celery(sys.argv[1:]))"
)
"""What `celery -A clustercore` does, but for looking for `clustercore` in the current directory first."""


def node_command(name: str) -> list[str]:
    """A worker node in a process of its own; the agent's settings come from its environment."""
    return python_command("-c", _WORKER, "worker", "--hostname", hostname_of(name))


def hostname_of(name: str) -> str:
    """Returns what Celery calls the node: a name that is unique on the machine, which it puts in place of `%h`."""
    return f"{name}@%h"


def flower_command() -> list[str]:
    """Flower in a process of its own, on the hub's socket."""
    return python_command("-c", _FLOWER, *arguments(environment().data_dir))


def hub_variables() -> dict[str, str | None]:
    """What every child of the hub must find in its environment, whatever the current directory."""
    return {"CLUSTERCORE_DATA_DIR": str(environment().data_dir)}


def keyless_variables() -> dict[str, str | None]:
    """The same for a child that serves no pages of ours, and so has no use for the key that signs sessions."""
    return {**hub_variables(), "CLUSTERCORE_SECRET_KEY": None}


def node_variables(name: str | None, slots: int | None) -> dict[str, str | None]:
    """The environment of a node; None keeps what is set already."""
    variables = keyless_variables()
    if name:
        variables["CLUSTERCORE_NODE_NAME"] = name
    if slots:
        variables["CLUSTERCORE_SLOTS"] = str(slots)
    return variables


def web_program(port: int) -> Program:
    """Returns the web process as a program; it is ready when it answers anything at all."""
    return Program(
        name="the web process",
        prepare=lambda: (web_command.command(port=port), b""),
        probe=lambda: asyncio.to_thread(_answers, port),
        stop_signals=((signal.SIGTERM, WEB_END_SECONDS), (signal.SIGKILL, KILL_SECONDS)),
        log=log_directory() / "web.log",
        environment=child_variables(hub_variables()),
    )


def flower_program() -> Program:
    """Returns Flower as a program, which runs while somebody looks at it behind the web process."""
    settings = environment()
    socket_path(settings.data_dir).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Program(
        name="Flower",
        prepare=lambda: (flower_command(), b""),
        stop_signals=((signal.SIGTERM, FLOWER_END_SECONDS), (signal.SIGKILL, KILL_SECONDS)),
        log=log_directory() / "flower.log",
        environment=child_variables(keyless_variables()),
        demand=Demand(wanted_path(settings.data_dir), settings.idle_flower_seconds),
    )


def node_program(name: str | None, slots: int | None) -> Program:
    """Returns a node as a program; None leaves its name or its slots to the machine. When it is ready the ledger knows.

    It goes before the web process, from which it may still fetch what it finishes in its grace.
    """
    shown = name or environment().node_name
    grace = environment().grace_seconds + SPARE_SECONDS
    return Program(
        name=f"node {shown}",
        prepare=lambda: (node_command(shown), b""),
        stop_signals=((signal.SIGTERM, grace), (signal.SIGKILL, KILL_SECONDS)),
        log=log_directory() / f"node-{_as_file_name(shown)}.log",
        environment=child_variables(node_variables(name, slots)),
        is_needed_last=False,
    )


def _as_file_name(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in name)[:80]


def _answers(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=5.0)
    try:
        connection.request("GET", "/healthz")
        connection.getresponse()
        return True
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def spawn_detached(command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """A process that goes on when this one and its terminal end."""
    with log.open("ab") as output:
        return subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=child_variables({}),
            **apart(),
        )


def apart() -> dict[str, Any]:
    """Ctrl-C in a terminal reaches every process of its group: a child must hear of it from its owner alone."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}
