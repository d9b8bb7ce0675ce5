"""What waiting costs the cluster: a sweep over jobs that wait for a person, and sixty nodes that find nothing to do.

`held_5000_sweep_ms`: the median of whole sweeps over 5,000 running jobs with one held unit each.
`sixty_nodes_hub_percent`: processor time of all of PostgreSQL's processes as a percentage of one core, while sixty nodes
do what an idle node does each second and 1,000 jobs run of which none of them may claim anything.
`idle_node_statements`: statements a second of one node where nothing is open.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast
from uuid import uuid4

import psutil
from django.db import connection

from benchmarks.fan_out import FAN_OUT
from clustercore.embedded.domain.database_trouble import is_busy
from clustercore.jobs.adapters.clocks import read_clocks
from clustercore.jobs.domain.kinds import known_contracts
from clustercore.jobs.services.held_leases import HeldLeases
from clustercore.jobs.services.hot_statements import establish_statements
from clustercore.jobs.services.keeper import LeaseKeeper
from clustercore.jobs.services.sweep import look, sweep
from clustercore.nodes import services as nodes
from clustercore.nodes.adapters.elapsed import elapsed_seconds
from clustercore.nodes.adapters.spool import DirectorySpools
from clustercore.nodes.domain.hooks import Agent
from clustercore.nodes.models import Node
from clustercore.nodes.services.model_pulls import next_pull

HELD_JOBS, WAITING_JOBS, NODES = 5000, 1000, 60
SWEEPS = 9
SECONDS = 20.0
LEASE_SECONDS, HEARTBEAT_SECONDS, PULL_SECONDS = 20.0, 5.0, 5.0

_FILL = """
WITH made AS (
    INSERT INTO jobs_job (key, kind, title, state, stage, priority, shared, parameters, critical_accuracy, engine, model,
                          request_digest, error, waiting, gaps, created, language)
    SELECT gen_random_uuid(), %(kind)s, 'waits', 'running', '', 0, false, '{}', false, '', '', '', '', '', 0, now(), 'en'
    FROM generate_series(1, %(jobs)s) RETURNING id
)
INSERT INTO jobs_unit (job_id, stage, ordinal, capability, ranked, priority, payload, input, state, hold_reason, progress,
                       attempts_made, strikes, excluded_nodes, error)
SELECT id, %(stage)s, 0, %(capability)s, true, 0, '{}', '{}', %(state)s, '', 0, 0, 0, '{}', '' FROM made
"""
