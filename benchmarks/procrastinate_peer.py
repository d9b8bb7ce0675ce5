"""Procrastinate on the same PostgreSQL: jobs that return at once, by as many at a time as are asked for.

python -m benchmarks.procrastinate_peer JOBS CONCURRENCY

The database's URL comes by standard input.
"""

from __future__ import annotations

import asyncio
import sys
from importlib import import_module

import psycopg

TIMED = """
SELECT extract(epoch FROM max(at) FILTER (WHERE type = 'succeeded') - min(at) FILTER (WHERE type = 'started')),
    count(*) FILTER (WHERE type = 'succeeded') FROM procrastinate_events
"""


async def work_off(url: str, jobs: int, concurrency: int) -> None:
    """Queues all jobs, and runs a worker until none is left. Its tasks are coroutines, which cost it least."""
    procrastinate = import_module("procrastinate")
    connector = procrastinate.PsycopgConnector(conninfo=url, min_size=1, max_size=concurrency + 2)
    app = procrastinate.App(connector=connector)

    async def nothing(number: int) -> dict[str, int]:
        return {"ordinal": number}

    task = app.task(name="nothing")(nothing)
    async with app.open_async():
        if not await app.check_connection_async():
            await app.schema_manager.apply_schema_async()
        for start in range(0, jobs, 500):
            await task.batch_defer_async(*({"number": number} for number in range(start, min(start + 500, jobs))))
        await app.run_worker_async(wait=False, concurrency=concurrency, install_signal_handlers=False)


def main() -> None:
    """Prints how many seconds lie between the first job's start and the last one's end, by procrastinate's own rows."""
    url, jobs, concurrency = sys.stdin.read(), int(sys.argv[1]), int(sys.argv[2])
    with psycopg.connect(url, autocommit=True) as link:
        if link.execute("SELECT to_regclass('procrastinate_jobs')").fetchone() != (None,):
            link.execute("TRUNCATE procrastinate_jobs CASCADE")
        asyncio.run(work_off(url, jobs, concurrency))
        row = link.execute(TIMED).fetchone()
    if row is None or row[1] != jobs:
        raise RuntimeError(f"not all of {jobs} jobs were done: {row}")
    print(float(row[0]))


if __name__ == "__main__":
    main()
