"""A node's Celery worker, without Celery's command line: that imports each of its commands, Flower's among them."""

from __future__ import annotations

import logging
import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "clustercore.project.ledger_settings")

from celery.utils.nodenames import default_nodename, host_format

from clustercore.project.celery import app


def run(hostname: str) -> int:
    """Works until it is told to stop; returns the worker's exit code. Gossip and mingling are the node agent's."""
    app.set_current()
    worker = app.Worker(
        hostname=host_format(default_nodename(hostname)),
        loglevel=logging.INFO,
        without_gossip=True,
        without_mingle=True,
    )
    worker.start()
    return int(worker.exitcode or 0)
