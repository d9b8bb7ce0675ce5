"""Lists of jobs under load: how many a second against a bare view of the same query, and how late at half of that.

python -m benchmarks lists [--jobs 20000] [--seconds 10] [--rounds 3] [--strict]
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from typing import Any

from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.db import connection

from benchmarks import harness
from benchmarks.empty_units import EMPTY
from clustercore.access.domain.roles import Permission, Role
from clustercore.access.services.tokens import create_token
from clustercore.embedded.services import ensure_running, stop
from clustercore.jobs.models import Job
from clustercore.project.web import command

DATA_DIRECTORY = harness.data_directory()

CONNECTIONS = 8
PAGE = "/api/v1/jobs?limit=50"
UNITS_OF_A_JOB = 8
BARS: harness.Bars = {"p95_ms_at_half": ("<=", 150.0), "saturation_over_bare": (">=", 0.6)}
_JOBS = """
INSERT INTO jobs_job (kind, title, state, stage, priority, owner_id, shared, parameters, critical_accuracy, engine,
                      model, error, waiting, created, finished, request_digest)
SELECT %(kind)s, 'recording ' || n || '.flac', (ARRAY['done', 'running', 'failed', 'paused'])[1 + n %% 4], 'nothing', 0,
       %(owner)s, false, '{}', false, '', '', CASE WHEN n %% 4 = 2 THEN 'nothing 3: no memory' ELSE '' END, '',
       now() - n * interval '1 minute', CASE WHEN n %% 4 IN (0, 2) THEN now() END, ''
FROM generate_series(1, %(jobs)s) AS n
"""
_UNITS = """
INSERT INTO jobs_unit (job_id, stage, ordinal, capability, ranked, payload, weight, state, attempts_made, failures,
                       strikes, excluded_nodes, progress, error, hold_reason, created)
SELECT j.id, 'nothing', n, 'media', false, '{}', 30, (ARRAY['done', 'queued', 'leased'])[1 + n %% 3], 1, 0, 0, '{}',
       0.5, '', '', now()
FROM jobs_job j CROSS JOIN generate_series(1, %(units)s) AS n
"""


def fill_ledger(jobs: int) -> tuple[int, str]:
    """That many jobs of one operator, each with its units; returns the operator's id and token."""
    owner = User.objects.create_user("operator")
    owner.groups.add(Group.objects.get(name=Role.OPERATOR.value))
    with connection.cursor() as cursor:
        cursor.execute(_JOBS, {"kind": EMPTY.name, "owner": owner.pk, "jobs": jobs})
        cursor.execute(_UNITS, {"units": UNITS_OF_A_JOB})
        cursor.execute("ANALYZE")
    return owner.pk, create_token(owner, "benchmark", frozenset({Permission.VIEW}))[1]


def load(port: int, path: str, token: str, seconds: float, rate: float | None = None) -> dict[str, Any]:
    """What `http_load` measured."""
    options = ["--token", token, "--connections", str(CONNECTIONS), "--seconds", str(seconds)]
    options += ["--rate", str(rate)] if rate is not None else []
    asked = [sys.executable, "-m", "benchmarks.http_load", "127.0.0.1", str(port), path, *options]
    found: dict[str, Any] = json.loads(subprocess.run(asked, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return found


def per_second(measured: dict[str, Any]) -> float:
    return float(measured["answers"] / measured["seconds"])


def measure(port: int, token: str, bare: str, seconds: float) -> tuple[dict[str, float], list[float]]:
    """One round: the list, the bare view, then half of what the list can."""
    saturation, bare_saturation = (per_second(load(port, path, token, seconds)) for path in (PAGE, bare))
    half = load(port, PAGE, token, seconds, rate=saturation / 2)["milliseconds"]
    metrics = {
        "p95_ms_at_half": round(harness.quantile(half, 0.95), 1),
        "saturation_over_bare": round(saturation / bare_saturation, 3),
        "lists_per_second": round(saturation, 1),
        "bare_per_second": round(bare_saturation, 1),
        "median_ms_at_half": round(statistics.median(half), 1),
    }
    return metrics, half


def main() -> None:
    """Measures, prints, writes."""
    arguments = harness.arguments(__doc__)
    arguments.add_argument("--jobs", type=int, default=20_000, help="jobs in the ledger")
    arguments.add_argument("--seconds", type=float, default=10, help="length of one measurement")
    chosen = arguments.parse_args()
    port = harness.free_port()
    with ensure_running(DATA_DIRECTORY, linger_seconds=5):
        call_command("migrate", verbosity=0)
        owner, token = fill_ledger(chosen.jobs)
        bare = f"/bare/jobs?owner={owner}"
        with harness.web_process(command(port=port), port, DJANGO_SETTINGS_MODULE="benchmarks.lists_settings"):
            for path in (PAGE, bare):
                load(port, path, token, 2)
            rounds = harness.rounds(chosen.rounds, lambda _: measure(port, token, bare, chosen.seconds))
        details = {"jobs": Job.objects.count(), "units_of_a_job": UNITS_OF_A_JOB, "page": PAGE}
    stop(DATA_DIRECTORY)
    metrics, half = harness.medians([one.found[0] for one in rounds]), [ms for one in rounds for ms in one.found[1]]
    details["rounds"] = [one.found[0] for one in rounds]
    harness.print_table(harness.title("Lists of jobs", BARS), ("metric", "value"), list(metrics.items()))

    def draw(axes: Any) -> None:
        axes.hist(half, bins=60)
        axes.set(xlabel="answered after (ms)", ylabel="how many", title="Lists of jobs at half the measured saturation")

    loads = [one.load for one in rounds]
    harness.publish("lists", metrics, details, draw, bars=BARS, loads=loads, strict=chosen.strict)
