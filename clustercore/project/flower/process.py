"""Flower as a process: on a socket of the hub's own, behind a password, and telling what our bells mean.

`celery -A clustercore flower`, typed by a person, gets the same defaults and a loopback port.
"""

from __future__ import annotations

import copy
import logging
import re
import sys
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

from clustercore.config.adapters.plugins import load
from clustercore.embedded.adapters import secrets
from clustercore.embedded.adapters.directories import layout_of

USER = "admin"
PREFIX = "flower"
OPTIONS_MODULE = "flower.options"
COMMAND = "flower"
COLUMNS = "name,args,state,result,exception,worker,received,runtime,uuid"
MOST_TASKS = 20_000
FORGET_WORKER_SECONDS = 3600
_UNIT = re.compile(r"\bunit (\d+)\b")

logger = logging.getLogger(__name__)


def credentials(data_directory: Path) -> tuple[str, str]:
    """Flower's user and password; the password is made on first need."""
    return USER, secrets.password(_password_file(data_directory))


def socket_path(data_directory: Path) -> Path:
    """Where the Flower of `clustercore up` listens: a unix socket, so that no port of it exists."""
    return layout_of(data_directory).sockets / "flower.sock"


def wanted_path(data_directory: Path) -> Path:
    """Returns the file that is touched to have Flower started, and kept: there while `clustercore up` would do so."""
    return layout_of(data_directory).run / "flower.wanted"


def arguments(data_directory: Path) -> list[str]:
    """What follows `celery -A clustercore` for the Flower of `clustercore up`."""
    return [COMMAND, f"--unix_socket={socket_path(data_directory)}", f"--url_prefix={PREFIX}"]


def protect_flower(data_directory: Path) -> None:
    """Sets Flower's defaults, which its own flags and `FLOWER_*` variables still override.

    Celery imports Flower's command before the application, so its options are there exactly when `celery` runs.
    """
    if OPTIONS_MODULE not in sys.modules:
        return
    options = sys.modules[OPTIONS_MODULE].options
    is_flower = COMMAND in sys.argv
    # Celery imports all of its commands: a worker comes by here too, and has no use for the password.
    user, password = credentials(data_directory) if is_flower else (USER, token_urlsafe())
    options.address = "127.0.0.1"
    options.basic_auth = [f"{user}:{password}"]
    options.tasks_columns = COLUMNS
    options.format_task = with_remedy
    options.max_tasks = MOST_TASKS
    options.purge_offline_workers = FORGET_WORKER_SECONDS
    if is_flower:
        # By its name: it imports Flower, which this very process has imported already, and no other needs.
        load(f"{__package__}.application:install")()
        logger.warning("Flower: user %s, password in %s", user, _password_file(data_directory))


def with_remedy(task: Any) -> Any:
    """A task as Flower shows it: one that failed names the page where a person sees why and retries it.

    Flower itself cannot retry: a unit is queued again in the ledger, and a task is only the bell that rang for it.
    """
    shown = copy.copy(task)
    found = _UNIT.search(str(shown.exception or ""))
    if found is not None:
        shown.exception = f"{shown.exception} -- see why and retry: /admin/jobs/unit/{found[1]}/change/"
    return shown


def _password_file(data_directory: Path) -> Path:
    return layout_of(data_directory).secrets / "flower"
