"""`clustercore node`: this machine as a worker node of a cluster, near or far."""

from __future__ import annotations

import logging
from typing import Annotated, Any

from typer import Option

from clustercore.config.environment import environment
from clustercore.embedded.domain.shortage import ResourceShortage
from clustercore.nodes.adapters.hardware import read_hardware
from clustercore.nodes.adapters.inventory import inventory_here
from clustercore.nodes.adapters.runners import RunnerPool
from clustercore.nodes.adapters.self_tests import run_self_tests
from clustercore.nodes.commands.rendering import models_table
from clustercore.nodes.domain.facts import slots_for
from clustercore.nodes.domain.inventory import Inventory
from clustercore.nodes.domain.node_status import model_status
from clustercore.project.command_line.ledger_process import migrate_apart
from clustercore.project.command_line.processes import hostname_of
from clustercore.project.command_line.servers import servers, uses_embedded_servers
from clustercore.project.command_line.worker import run
from clustercore.terminal.adapters.console import output, remark, say
from clustercore.terminal.domain.endings import CommandError, ExitCode


def node(
    name: Annotated[str | None, Option(help="By default the machine's; two nodes on one machine need two.")] = None,
    slots: Annotated[int | None, Option(min=1, max=64, help="Pieces at once; by default from cores and GPUs.")] = None,
    self_test: Annotated[bool, Option("--self-test", help="Try every model of this machine once, and end.")] = False,
) -> int:
    """Make this machine a worker node, until Ctrl-C (work in hand gets its grace; once more ends it at once).

    On a machine other than the hub, first set DATABASE_URL and REDIS_URL as `clustercore up --listen` printed them
    there. It is the same as `celery -A clustercore worker` with sensible flags.

    Examples:

      clustercore node

      clustercore node --name second --slots 1

      clustercore node --self-test
    """
    # The flags reached the settings as variables before Django was set up.
    del name, slots
    if self_test:
        return _try_models()
    with servers(start=True):
        if uses_embedded_servers():
            _tell(migrate_apart())
        return run(hostname_of(environment().node_name))


def _tell(said: str) -> None:
    if said:
        remark(said)


def _try_models() -> int:
    logging.basicConfig(level=logging.WARNING)
    inventory = inventory_here(environment())
    if not inventory.usable():
        raise CommandError("no engine of this machine is usable; `clustercore doctor` says why")
    with output().status("trying every usable model …"):
        results = _results(inventory)
    output().print(models_table([model_status(model, results) for model in inventory.models]))
    tried = [result.get("passed", False) for result in results.values()]
    say(f"{sum(tried)} of {len(tried)} models that can be tried passed.")
    return ExitCode.DONE if all(tried) else ExitCode.FAILED


def _results(inventory: Inventory) -> dict[str, Any]:
    settings, hardware = environment(), read_hardware()
    slots = slots_for(settings.slots, hardware.cores, hardware.gpus)
    hosts = RunnerPool(
        inventory.plugins,
        settings.models_directory,
        slots=1,
        threads=settings.engine_threads or max(1, hardware.cores // slots),
        silent_seconds=settings.silent_runner_seconds,
        memory_need=inventory.memory_mb,
    )
    try:
        found: dict[str, Any] = run_self_tests(hosts, inventory, lambda: True)["models"]
        return found
    except ResourceShortage as short:
        raise CommandError(f"this machine has {short}: free some and try again") from short
    finally:
        hosts.close()
