"""A queue in PostgreSQL and nothing else: each thread takes a row and writes its result, two statements a unit.

python -m benchmarks.bare_queue UNITS THREADS

The database's URL comes by standard input.
"""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg

MAKE = """
DROP TABLE IF EXISTS bare_queue;
CREATE TABLE bare_queue (id bigint PRIMARY KEY, state text NOT NULL DEFAULT 'queued', result jsonb, done timestamptz);
CREATE INDEX ON bare_queue (id) WHERE state = 'queued'
"""
TAKE = """
UPDATE bare_queue SET state = 'leased'
WHERE id = (SELECT id FROM bare_queue WHERE state = 'queued' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING id
"""
COMPLETE = "UPDATE bare_queue SET state = 'done', result = %s, done = now() WHERE id = %s"


def work_off(link: psycopg.Connection) -> int:
    """Takes and completes until nothing is left; returns how many."""
    done = 0
    while (row := link.execute(TAKE).fetchone()) is not None:
        link.execute(COMPLETE, [json.dumps({"ordinal": row[0]}), row[0]])
        done += 1
    return done


def main() -> None:
    """Prints for how many seconds all threads were at it. Raises RuntimeError where a unit was lost or done twice."""
    url, units, threads = sys.stdin.read(), int(sys.argv[1]), int(sys.argv[2])
    with psycopg.connect(url, autocommit=True) as link:
        for statement in MAKE.split(";"):
            link.execute(statement.encode())
        link.execute("INSERT INTO bare_queue (id) SELECT generate_series(1, %s)", [units])
        link.execute("VACUUM ANALYZE bare_queue")
    links = [psycopg.connect(url, autocommit=True) for _ in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        began = time.perf_counter()
        done = sum(pool.map(work_off, links))
        seconds = time.perf_counter() - began
    for link in links:
        link.close()
    if done != units:
        raise RuntimeError(f"{done} of {units} units were done")
    print(seconds)


if __name__ == "__main__":
    main()
