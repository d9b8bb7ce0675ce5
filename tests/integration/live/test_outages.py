"""While the ledger is away pages are told so, and go on by themselves when it is back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from django.db import connections

from clustercore.embedded.domain.endpoints import Endpoints
from clustercore.jobs.models import Job
from clustercore.live.services.broadcasting import AWAY
from tests.integration.jobs.conftest import with_parts
from tests.integration.live.conftest import Web, follow, heard, heard_until
from tests.people import person


@contextmanager
def ledger_away(services: Endpoints) -> Iterator[None]:
    """Nobody can connect to the tests' database, and who was connected is not any more."""
    name = str(connections["default"].settings_dict["NAME"])
    connections.close_all()
    with psycopg.connect(services.database_url, autocommit=True) as link:
        link.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS false'.encode())
        try:
            link.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
            yield
        finally:
            link.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS true'.encode())


def test_a_page_is_told_that_the_ledger_is_away_and_goes_on_when_it_is_back(web: Web, services: Endpoints) -> None:
    job, _ = with_parts(2, owner_id=person("otto").pk)
    with web.open(user=person("otto")) as page:
        follow(page, f"job:{job.pk}")
        heard(page)
        with ledger_away(services):
            while "notice" not in (body := heard(page, 30)):
                pass
            assert body == {"notice": AWAY}
        while "notice" not in (body := heard(page, 30)):
            pass
        assert body == {"notice": ""}
        Job.objects.filter(pk=job.pk).update(waiting="a node with a better model")
        heard_until(page, "a node with a better model")
