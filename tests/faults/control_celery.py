"""The control: what plain Celery does under the same faults, on the same Redis server.

`python -m celery -A tests.faults.control_celery worker`; `CONTROL_VARIANT` chooses the configuration, `CONTROL_TRACE`
the file in which each execution leaves a line.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from celery import Celery

LATE: dict[str, Any] = {"task_acks_late": True, "task_reject_on_worker_lost": True, "worker_prefetch_multiplier": 1}
VARIANTS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "acks_late": LATE,
    "tuned": {
        **LATE,
        "result_backend_always_retry": True,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "broker_transport_options": {
            # As short as a lease; honest only because no task here takes longer than that.
            "visibility_timeout": 8,
            "unacked_restore_interval": 1,
            "unacked_restore_throttle": 1,
        },
    },
}

url = os.environ.get("CONTROL_REDIS_URL", "redis://127.0.0.1:1/0")
app = Celery("control", broker=url, backend=url, set_as_current=False)
app.conf.update(
    broker_connection_retry_on_startup=True,
    task_default_queue="control",
    task_track_started=True,
    **VARIANTS[os.environ.get("CONTROL_VARIANT", "defaults")],
)


@app.task(name="control.piece")
def piece(number: int, seconds: float) -> int:
    """A piece of work that takes so long, and says in the trace that it began and that it ended."""
    _note("begun", number)
    time.sleep(seconds)
    _note("finished", number)
    return number


def _note(what: str, number: int) -> None:
    line = {"what": what, "number": number, "at": time.time(), "process": os.getpid(), "parent": os.getppid()}
    with Path(os.environ["CONTROL_TRACE"]).open("a") as file:
        file.write(json.dumps(line) + "\n")
