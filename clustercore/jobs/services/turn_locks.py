"""Who may complete units of a job at the same time: many beside each other, or one alone that sees what follows.

Two that complete the last units of a stage beside each other would each take the other's for open, and nobody would go
on. So whoever decides by the states of a job's units does it alone (`alone_in`), and whoever completes one beside
others (`BESIDE`) makes sure under the lock that a further one is to come. Whoever takes it alone has the job's row
before, and locks nothing else of the job until then: those beside do not wait for the row.
"""

from __future__ import annotations

from django.db import connection

from clustercore.embedded.domain.advisory_locks import AdvisoryLock


def alone(job: str) -> str:
    """Returns the SQL expression that takes the lock of the job of that number for oneself."""
    return f"pg_advisory_xact_lock({_lock_of(job)})"


def beside(job: str) -> str:
    """Returns the SQL expression that takes it together with others."""
    return f"pg_advisory_xact_lock_shared({_lock_of(job)})"


def _lock_of(job: str) -> str:
    return f"{AdvisoryLock.TURN:d}, mod({job}, 2147483647)::integer"


def alone_in(job_id: int) -> None:
    """Waits for what is completed beside now, and lets nothing more be until the transaction ends.

    Needs the job's row lock. What is read afterwards is read as it stays.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {alone('%s::bigint')}", [job_id])
