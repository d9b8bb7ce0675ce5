"""What is done at the second cluster, in a process whose environment leads there; answers in JSON.

`python -m tests.faults.soak.abroad establish`, `submit FILE KEY`, or `seen`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import django

django.setup()

from django.core.management import call_command  # noqa: E402

from clustercore.blobs.services import establish_hub  # noqa: E402
from clustercore.config.environment import environment  # noqa: E402
from clustercore.jobs.models import Job  # noqa: E402
from tests.faults.recording import PIECE_SECONDS  # noqa: E402
from tests.faults.soak.verdict import look  # noqa: E402
from transcription.services.submit import Wishes, submit_transcription  # noqa: E402


def establish() -> None:
    """Makes the tables and the store."""
    call_command("migrate", verbosity=0, interactive=False)
    establish_hub(environment().data_dir, "http://127.0.0.1:1")


def submit(file: str, key: str) -> int:
    """Queues a recording; returns its job."""
    wishes = Wishes(language="en", piece_seconds=PIECE_SECONDS, idempotency_key=key)
    return submit_transcription(None, Path(file), key, wishes)[0].pk


def seen() -> list[dict[str, Any]]:
    """All jobs as they are."""
    return [look(job).as_json() for job in Job.objects.order_by("pk")]


if __name__ == "__main__":
    acts: dict[str, Callable[..., Any]] = {"establish": establish, "submit": submit, "seen": seen}
    json.dump(acts[sys.argv[1]](*sys.argv[2:]), sys.stdout)
