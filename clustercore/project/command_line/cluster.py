"""Being in touch with the cluster: the database answering, and migrated."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from django.conf import settings
from django.db import connection

from clustercore.embedded.domain.endpoints import Endpoints
from clustercore.project.command_line.servers import servers
from clustercore.terminal.domain.endings import Unreachable

CONNECT_SECONDS = 5
NOT_MIGRATED = "the database has no tables of this version yet: `clustercore up` makes them."


def endpoints() -> Endpoints:
    """Returns where Django's settings say that the servers are."""
    found: Endpoints = settings.ENDPOINTS
    return found


@contextmanager
def cluster() -> Iterator[None]:
    """What every command that reads or writes the ledger runs in. Raises Unreachable, OperationalError."""
    # A command says once and in words why it cannot connect; the pool would say it many times.
    logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)
    with servers(start=False):
        psycopg.connect(endpoints().database_url, connect_timeout=CONNECT_SECONDS).close()
        if "jobs_job" not in connection.introspection.table_names():
            raise Unreachable(NOT_MIGRATED)
        yield
