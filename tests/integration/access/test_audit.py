"""The audit log: who did what, in a chain that nobody can quietly change."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import DatabaseError, connection, transaction

from clustercore.access.domain.audit_chain import Entry, Head, first_break
from clustercore.access.domain.identity import Identity, at_terminal
from clustercore.access.models import AuditEntry
from clustercore.access.services.audit import record

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]
ADA = Identity(7, "ada", None)


@pytest.fixture
def guarded_table() -> Iterator[None]:
    """The trigger against TRUNCATE, which the other tests do without."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE access_auditentry ENABLE ALWAYS TRIGGER access_audit_table_stays")
    yield
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE access_auditentry DISABLE TRIGGER access_audit_table_stays")


def test_an_entry_says_who_did_what_to_what_and_when() -> None:
    record(ADA, "job.cancelled", "job 7", reason="too long", pieces=[1, 2.50, 1e22, None, True])
    entry = AuditEntry.objects.get()
    assert (entry.seq, entry.actor, entry.actor_id, entry.action, entry.target) == (
        1,
        "ada",
        7,
        "job.cancelled",
        "job 7",
    )
    assert entry.detail == {"reason": "too long", "pieces": [1, 2.5, 10**22, None, True]}
    assert entry.at.tzinfo is not None
    assert holds()


def test_what_a_program_did_is_told_with_the_number_of_its_token() -> None:
    record(Identity(7, "ada", None, frozenset(), 31), "job.cancelled", "job 7", reason="too long")
    assert AuditEntry.objects.get().detail == {"reason": "too long", "token_id": 31}


def test_whatever_a_text_holds_the_chain_holds() -> None:
    record(at_terminal("root"), "file.uploaded", "../\0\udce4\n\u202e", name="ä\0\ud800 -->", nested={"x": ["\0"]})
    record(ADA, "x" * 10_000, "y" * 10_000)
    assert holds()


def test_an_entry_goes_with_the_transaction_that_it_belongs_to() -> None:
    record(ADA, "one")
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        record(ADA, "never")
        raise ZeroDivisionError
    record(ADA, "two")
    assert list(AuditEntry.objects.order_by("seq").values_list("seq", "action")) == [(1, "one"), (2, "two")]
    assert holds()


def test_twenty_writers_at_once_make_one_chain_without_gaps() -> None:
    def write(writer: int) -> None:
        try:
            for number in range(10):
                record(Identity(writer, f"writer-{writer}", None), "counted", str(number))
        finally:
            connection.close()

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(write, range(20)))
    assert list(AuditEntry.objects.order_by("seq").values_list("seq", flat=True)) == list(range(1, 201))
    assert holds()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE access_auditentry SET actor = 'nobody' WHERE seq = 1",
        "DELETE FROM access_auditentry WHERE seq = 2",
        "UPDATE access_auditentry SET seq = seq + 10",
        "TRUNCATE access_auditentry",
        "SET LOCAL session_replication_role = replica; DELETE FROM access_auditentry",
    ],
)
def test_the_database_refuses_to_change_the_log(guarded_table: None, statement: str) -> None:
    record(ADA, "one")
    record(ADA, "two")
    with pytest.raises(DatabaseError, match=r"only added to|permission denied"), connection.cursor() as cursor:
        cursor.execute(statement)
    assert AuditEntry.objects.count() == 2
    assert holds()


def holds() -> bool:
    rows = AuditEntry.objects.order_by("seq").values_list()
    return isinstance(first_break(Entry(*row) for row in rows), Head)
