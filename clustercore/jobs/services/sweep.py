"""What one node at a time does for the whole cluster: ends what nobody extended, lets happen what is due, tells why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.db import connection

from clustercore.config.environment import environment
from clustercore.jobs.adapters.statements import StoredStatement
from clustercore.jobs.domain.clock import ClockReading
from clustercore.jobs.domain.counters import CLOCK_MILLISECONDS
from clustercore.jobs.domain.kinds import kinds
from clustercore.jobs.domain.lifecycle import BROKEN_UNIT_STATES
from clustercore.jobs.models import Sweep
from clustercore.jobs.services.advance import advance
from clustercore.jobs.services.answering import expire_questions
from clustercore.jobs.services.clock import ClockWatch
from clustercore.jobs.services.explaining import explain_waiting_jobs
from clustercore.jobs.services.floors import keep_floors
from clustercore.jobs.services.leases import reap
from clustercore.jobs.services.ready import keep_ready, mark_due
from clustercore.jobs.services.steps import take_each, take_step
from clustercore.jobs.services.timers import run_due
from clustercore.nodes.adapters.elapsed import elapsed_seconds
from clustercore.nodes.services import mark_silent_nodes_offline

SWEEPS_PER_LEASE = 8
LONGEST_LOOK_PER_LEASE = 1 / 4
"""A look that took longer says that the database hardly answered, as an absence does."""

# One statement answers all that a node asks at a tick, so that whoever has nothing to do for the others asks no more.
LOOK = StoredStatement(
    "jobs_look",
    parameters={"age": "double precision", "kinds": "text[]", "steps": "text"},
    columns={
        "database": "double precision",
        "server_started": "double precision",
        "steps": "bigint",
        "is_open": "boolean",
        "wants_sweep": "boolean",
        "wants_timers": "boolean",
    },
    query="""
SELECT extract(epoch FROM clock_timestamp())::float8, extract(epoch FROM pg_postmaster_start_time())::float8,
       coalesce((SELECT value FROM jobs_counter WHERE name = %(steps)s::text), 0), opened.is_open,
       coalesce((SELECT s.swept_at < clock_timestamp() - %(age)s::float8 * interval '1 second'
                     OR s.swept_at > clock_timestamp() + interval '1 second' FROM jobs_sweep s), true),
       opened.is_open AND (
           EXISTS (SELECT FROM jobs_ready WHERE NOT is_due AND due_at <= now())
           OR EXISTS (SELECT FROM unnest(%(kinds)s::text[]) AS known (kind) CROSS JOIN LATERAL
                      (SELECT FROM jobs_timer t WHERE t.kind = known.kind AND t.due_at <= now() LIMIT 1) due)
           OR EXISTS (SELECT FROM jobs_question q JOIN jobs_job j ON j.id = q.job_id
                      WHERE q.answer = '' AND q.withdrawn IS NULL AND q.until <= now()
                        AND j.kind = ANY(%(kinds)s::text[])))
FROM (SELECT EXISTS (SELECT FROM jobs_job WHERE state = 'running')
          OR EXISTS (SELECT FROM jobs_attempt WHERE outcome = 'live') AS is_open OFFSET 0) opened
""",
)

# Whoever comes second finds the row locked, or taken. A time to come there is that of a clock set back since.
_TAKE = """
WITH free AS MATERIALIZED (
    SELECT id, swept_at, wanted.sweep AND (swept_at < clock_timestamp() - %(age)s * interval '1 second'
                                 OR swept_at > clock_timestamp() + interval '1 second') AS sweep,
           wanted.timers AND (timed_at < clock_timestamp() - interval '0.4 seconds'
                              OR timed_at > clock_timestamp() + interval '1 second') AS timers
    FROM jobs_sweep CROSS JOIN (SELECT %(sweep)s::boolean AS sweep, %(timers)s::boolean AS timers) wanted
    FOR UPDATE OF jobs_sweep SKIP LOCKED
)
UPDATE jobs_sweep s SET swept_at = CASE WHEN free.sweep THEN clock_timestamp() ELSE s.swept_at END,
                        timed_at = CASE WHEN free.timers THEN clock_timestamp() ELSE s.timed_at END
FROM free WHERE s.id = free.id AND (free.sweep OR free.timers)
RETURNING free.sweep, free.timers, extract(epoch FROM free.swept_at)::float8, extract(epoch FROM s.swept_at)::float8
"""


@dataclass(frozen=True, slots=True)
class Looked:
    """What a node's look at the ledger said, and what it has taken upon itself by it."""

    reading: ClockReading
    is_open: bool
    """Whether any job runs or any piece is in hand; where not, no unit can wait, be lost or need a reason."""
    takes_sweep: bool
    takes_timers: bool
    sweeps: tuple[float, float] = (0.0, 0.0)
    """When the last sweep was taken, and this one where it was, by the database's clock."""


class Sweeper:
    """When this process may sweep: not within a lease after it or PostgreSQL came back, for holders must first have had
    the chance to extend, and its own leases must be extended. All of it is counted on a clock that nobody sets.

    `extended_since` says since when this process's own leases are, None while they are not.
    """

    def __init__(self, extended_since: Callable[[float], float | None]) -> None:
        self._extended_since = extended_since
        self._clock = ClockWatch()
        self._reachable_since: float | None = None
        self._server_started = 0.0
        self.work_is_open = False
        """What the last look said."""

    def hub_was_away(self) -> None:
        """Begins the grace anew."""
        self._reachable_since = None

    def sweep_if_due(self, clock: Callable[[], float], lease_seconds: float, *, broker_away: str | None = None) -> None:
        """Looks at the ledger, and does for the cluster what is due and nobody else has taken.

        `clock` is `elapsed_seconds`, as suspended time counts. It is read again after the look, for which one may have
        to wait while nobody can extend.

        `broker_away` says why the broker does not answer; empty where it does, None where this node does not know.
        """
        began = clock()
        is_settled = self._is_settled(began, lease_seconds)
        # Within its grace a node may do but the smaller part of a sweep, and leaves it to those who may do all.
        seen = look(lease_seconds / SWEEPS_PER_LEASE * (1 if is_settled else 2))
        self.work_is_open = seen.is_open
        reading = self._clock.follow(seen.reading, lease_seconds)
        looked = clock()
        if looked - began > lease_seconds * LONGEST_LOOK_PER_LEASE:
            self.hub_was_away()
        is_settled = self._still_settled(looked, lease_seconds, reading) and is_settled
        if seen.takes_sweep:
            self._sweep(seen, reading, lease_seconds, broker_away, is_settled=is_settled)
        if seen.takes_timers:
            take_step(mark_due)
            take_step(expire_questions, reading, lease_seconds)
            take_step(run_due, reading, lease_seconds)

    def _is_settled(self, now: float, lease_seconds: float) -> bool:
        extended = self._extended_since(now)
        if self._reachable_since is None or extended is None:
            return False
        return now - max(self._reachable_since, extended) >= lease_seconds

    def _still_settled(self, now: float, lease_seconds: float, reading: ClockReading) -> bool:
        """Where the look found another start of the server, the grace begins anew."""
        if self._reachable_since is None or reading.server_started != self._server_started:
            self._reachable_since, self._server_started = now, reading.server_started
        return self._is_settled(now, lease_seconds)

    def _sweep(
        self, seen: Looked, reading: ClockReading, lease_seconds: float, broker_away: str | None, *, is_settled: bool
    ) -> None:
        if is_settled:
            take_step(mark_silent_nodes_offline)
        if seen.is_open:
            # A floor is decided before the first node has done much; it falls only when all had the chance to beat.
            take_step(keep_floors, environment().floor_wait_seconds, may_fall=is_settled)
            take_step(keep_ready, *seen.sweeps)
        if seen.is_open and is_settled:
            sweep(reading, lease_seconds, broker_away)


def look(age_seconds: float) -> Looked:
    """Reads the clocks and whether there is work, and takes what is due: a sweep where the last is older than that.

    Raises what Django raises while the database is away.
    """
    connection.ensure_connection()
    names = [kind.name for kind in kinds()]
    before = elapsed_seconds()
    ((database, server_started, steps, is_open, sweep, timers),) = LOOK.fetch(
        age=age_seconds, kinds=names, steps=CLOCK_MILLISECONDS
    )
    after = elapsed_seconds()
    reading = ClockReading(
        database=database,
        elapsed=(before + after) / 2,
        uncertainty=(after - before) / 2,
        server_started=server_started,
        steps=steps / 1000,
    )
    taken = _take(age_seconds, sweep=sweep, timers=timers) if sweep or timers else _NOTHING
    return Looked(reading, is_open, *taken)


_Taken = tuple[bool, bool, tuple[float, float]]
_NOTHING: _Taken = (False, False, (0.0, 0.0))


def _take(age_seconds: float, *, sweep: bool, timers: bool) -> _Taken:
    """Takes of these what no other node has taken meanwhile."""
    wanted = {"age": age_seconds, "sweep": sweep, "timers": timers}
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, wanted)
        if (taken := cursor.fetchone()) is not None:
            return bool(taken[0]), bool(taken[1]), (taken[2], taken[3])
    if not Sweep.objects.exists():
        # Its first value is long ago: the next look takes it.
        Sweep.objects.bulk_create([Sweep(pk=1)], ignore_conflicts=True)
    return _NOTHING


def sweep(reading: ClockReading, lease_seconds: float, broker_away: str | None) -> None:
    """Ends expired leases, says why jobs wait, and moves on what nobody moves."""
    take_step(reap, reading, lease_seconds)
    take_step(explain_waiting_jobs, broker_away=broker_away)
    take_step(finish_forgotten_jobs)


# Jobs that a person or a time keeps waiting are not forgotten, unless more is broken than its stage bears: that ends
# them. Each is looked up by an index of its own open units.
_FORGOTTEN = f"""
SELECT j.id FROM jobs_job j
WHERE j.state = 'running'
  AND NOT EXISTS (SELECT FROM jobs_unit u WHERE u.job_id = j.id AND u.state IN ('queued', 'leased'))
  AND (NOT EXISTS (SELECT FROM jobs_unit u WHERE u.job_id = j.id
                   AND (u.state = 'held' OR u.state = 'blocked' AND u.join_until IS NOT NULL))
       OR EXISTS (SELECT FROM unnest(%(kinds)s::text[], %(stages)s::text[], %(tolerances)s::float8[])
                                  AS rule (kind, stage, tolerance)
                  CROSS JOIN LATERAL (SELECT count(*) AS units FROM jobs_unit u
                                      WHERE u.job_id = j.id AND u.stage = rule.stage
                                        AND u.state IN ({", ".join(f"'{state}'" for state in BROKEN_UNIT_STATES)})
                  ) broken
                  WHERE rule.kind = j.kind AND broken.units > 0 AND CASE WHEN rule.tolerance = 0 THEN true ELSE
                      broken.units > rule.tolerance * (SELECT count(*) FROM jobs_unit u
                                                       WHERE u.job_id = j.id AND u.stage = rule.stage) END))
"""


def finish_forgotten_jobs() -> None:
    """Advances running jobs of which nothing moves and nothing is to come: their last transaction should have."""
    rules = [(kind.name, rule.name, rule.tolerance) for kind in kinds() for rule in kind.rules if rule.tolerance < 1]
    names, stages, tolerances = (list(column) for column in zip(*rules, strict=True)) if rules else ([], [], [])
    with connection.cursor() as cursor:
        cursor.execute(_FORGOTTEN, {"kinds": names, "stages": stages, "tolerances": tolerances})
        forgotten = [row[0] for row in cursor.fetchall()]
    take_each(advance, forgotten)
