"""A database that takes no writes for now, or that ended a transaction, is as good as away."""

from __future__ import annotations

import pytest
from django.db import InternalError, OperationalError, connection, transaction

from clustercore.embedded.domain.database_trouble import is_busy, is_refused_for_now
from clustercore.jobs.adapters.statements import StoredStatement

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]

WRITES = "CREATE TABLE nowhere ()"
STORED = StoredStatement("nothing_here", parameters={}, columns={"value": "text"}, query=WRITES)


@pytest.mark.parametrize("write", [lambda: connection.cursor().execute(WRITES), STORED.fetch], ids=["Django", "stored"])
def test_a_write_that_is_not_taken_is_an_absence_and_no_bug(write: object) -> None:
    assert callable(write)
    with pytest.raises(OperationalError) as refused, transaction.atomic():
        connection.cursor().execute("SET TRANSACTION READ ONLY")
        write()
    assert (is_refused_for_now(refused.value), is_busy(refused.value)) == (True, False)


def test_a_transaction_that_the_server_ended_is_an_absence_and_the_next_is_begun_anew() -> None:
    with pytest.raises(OperationalError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL transaction_timeout = '50ms'")
        cursor.execute("SELECT pg_sleep(20)")
    connection.close()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def test_what_is_wrong_with_a_statement_stays_what_it_is() -> None:
    cursor = connection.cursor()
    with pytest.raises(InternalError), transaction.atomic():
        with pytest.raises(Exception, match="nowhere"):
            cursor.execute("SELECT * FROM nowhere")
        cursor.execute("SELECT 1")
