"""Flower in a process of its own. Importing this imports all of Celery's command line, and Flower with it."""

from __future__ import annotations

import os
from collections.abc import Sequence

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "clustercore.project.ledger_settings")

# Before our application, which sets the defaults of the Flower that is there by then.
from celery.bin.celery import celery as celery_command

from clustercore.project.celery import app


def run_celery(arguments: Sequence[str]) -> int:
    """`celery -A clustercore ARGUMENTS`, and its exit code, which `app.start` forgets."""
    celery_command.params[0].default = app
    code = celery_command.main(args=list(arguments), prog_name="celery", standalone_mode=False)
    return code if isinstance(code, int) else 0
