"""Whoever has the whole power over the database still cannot change the audit log without being found out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from clustercore.access.domain.audit_chain import Entry, digest_of
from clustercore.access.domain.identity import Identity
from clustercore.access.models import AuditEntry
from clustercore.access.services import audit_checkpoints, audit_verification
from clustercore.access.services.audit import record
from clustercore.access.services.audit_checkpoints import checkpoint_file, establish_checkpoints, note_checkpoint
from clustercore.access.services.audit_verification import chain_report, chain_state, verify_chain

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]
ADA = Identity(7, "ada", None)


@pytest.fixture(autouse=True)
def hub(tmp_path: Path, settings: Any) -> Path:
    """The data directory of a hub, whose process has not looked at the log yet."""
    settings.DATA_DIR = tmp_path
    verify_chain()
    establish_checkpoints()
    return tmp_path


@pytest.fixture
def log(hub: Path) -> int:
    """Ten entries, and a checkpoint that has seen them all."""
    for number in range(1, 11):
        record(ADA, "job.cancelled", f"job {number}", number=number)
    note_checkpoint()
    return 10


def test_a_log_that_nobody_touched_holds(log: int) -> None:
    report = verify_chain()
    assert report.holds
    assert report.message == "entries 1 to 10 hold, and 2 checkpoints agree"
    assert chain_state() == (True, report.message)


def changed() -> None:
    sql("UPDATE access_auditentry SET actor = 'nobody' WHERE seq = 4")


def changed_in_its_detail() -> None:
    sql("UPDATE access_auditentry SET detail = jsonb_set(detail, '{number}', '5') WHERE seq = 4")


def given_another_time() -> None:
    sql("UPDATE access_auditentry SET at = at + interval '1 microsecond' WHERE seq = 4")


def deleted() -> None:
    sql("DELETE FROM access_auditentry WHERE seq = 4")


def swapped() -> None:
    sql(
        "UPDATE access_auditentry SET seq = -4 WHERE seq = 4; UPDATE access_auditentry SET seq = 4 WHERE seq = 5; "
        "UPDATE access_auditentry SET seq = 5 WHERE seq = -4"
    )


def emptied() -> None:
    sql("DELETE FROM access_auditentry")


def cut_off() -> None:
    sql("DELETE FROM access_auditentry WHERE seq > 7")


def cut_off_and_continued() -> None:
    cut_off()
    for number in range(5):
        record(ADA, "job.retried", f"job {number}")


def rewritten() -> None:
    rewrite(lambda entry: replace(entry, actor="olga") if entry.seq == 4 else entry)


def rewritten_without_one() -> None:
    rewrite(lambda entry: None if entry.seq == 4 else entry)


@pytest.mark.parametrize(
    ("attack", "first_bad", "reason"),
    [
        (changed, 4, "its content is not what was recorded"),
        (changed_in_its_detail, 4, "its content is not what was recorded"),
        (given_another_time, 4, "its content is not what was recorded"),
        (deleted, 4, "it is missing: entry 5 follows entry 3"),
        (swapped, 4, "it does not continue the entry before it"),
        (emptied, 1, "a checkpoint has seen entry 10"),
        (cut_off, 8, "a checkpoint has seen entry 10"),
        (cut_off_and_continued, 10, "it is not the entry that a checkpoint has seen"),
        (rewritten, 10, "it is not the entry that a checkpoint has seen"),
        (rewritten_without_one, 10, "a checkpoint has seen entry 10"),
    ],
)
def test_what_was_done_to_the_log_is_told_with_the_first_bad_entry(
    log: int, attack: Callable[[], None], first_bad: int, reason: str
) -> None:
    attack()
    report = verify_chain()
    assert not report.holds
    assert report.found is not None
    assert report.found.seq == first_bad
    assert reason in report.message


def test_the_file_of_checkpoints_is_for_its_owner_alone_and_holds_no_more_than_they_need(log: int, hub: Path) -> None:
    path = hub / "audit" / "checkpoints.jsonl"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert [set(json.loads(line)) for line in path.read_text().splitlines()] == [{"seq", "digest", "at"}] * 2


def test_a_log_whose_checkpoints_are_gone_does_not_hold(log: int) -> None:
    checkpoint_file().path.unlink()
    report = verify_chain()
    assert not report.holds
    assert "has no checkpoints" in report.message


def test_a_line_that_is_no_checkpoint_is_told(log: int) -> None:
    with checkpoint_file().path.open("a") as file:
        file.write('{"seq": 11}\n')
    report = verify_chain()
    assert not report.holds
    assert "a line that is no checkpoint" in report.message


def test_half_a_line_does_not_spoil_the_next_checkpoint(log: int) -> None:
    with checkpoint_file().path.open("a") as file:
        file.write('{"seq": 11, "dig')
    record(ADA, "token.created")
    head = note_checkpoint()
    assert checkpoint_file().last() == head


def test_checkpoints_kept_elsewhere_show_what_those_at_the_hub_cannot(log: int) -> None:
    elsewhere, _ = checkpoint_file().read()
    cut_off()
    checkpoint_file().path.unlink()
    note_checkpoint()
    assert verify_chain().holds
    assert not verify_chain(elsewhere).holds


def test_a_machine_that_is_no_hub_keeps_no_checkpoints(tmp_path: Path, settings: Any) -> None:
    settings.DATA_DIR = tmp_path / "of-a-node"
    record(ADA, "token.created")
    report = verify_chain()
    assert report.holds
    assert report.checkpoints is None
    assert not settings.DATA_DIR.exists()


def test_the_first_of_many_entries_is_noted_at_once_and_the_last_when_the_minute_is_over(
    hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_checkpoints, "LEAST_SECONDS", 0.3)
    monkeypatch.setattr(audit_checkpoints, "_pace", audit_checkpoints._Pace())
    for number in range(20):
        record(ADA, "job.cancelled", f"job {number}")
    first = checkpoint_file().last()
    assert first is not None
    assert first.seq < 20
    timer = audit_checkpoints._pace._timer
    assert timer is not None
    timer.join(10)
    last = checkpoint_file().last()
    assert last is not None
    assert last.seq == 20


def test_looking_again_reads_only_what_was_added(log: int, django_assert_max_num_queries: Any) -> None:
    assert chain_report().entries == 10
    record(ADA, "token.created")
    with django_assert_max_num_queries(4) as queries:
        assert chain_report().entries == 11
    assert any('"seq" > 10' in query["sql"] for query in queries.captured_queries)


def test_a_long_log_is_read_in_bites(log: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_verification, "ROWS_AT_ONCE", 4)
    monkeypatch.setattr(audit_verification, "_known", audit_verification._Known())
    assert [chain_report().entries for _ in range(3)] == [4, 8, 10]
    assert chain_state() == (True, "entries 1 to 10 hold, and 2 checkpoints agree")


def test_what_goes_missing_between_two_looks_is_noticed(log: int) -> None:
    assert chain_state()[0]
    cut_off()
    holds, message = chain_state()
    assert not holds
    assert "entry 10" in message


def test_a_full_disk_does_not_undo_what_was_recorded(log: int, hub: Path, caplog: pytest.LogCaptureFixture) -> None:
    audit_checkpoints._pace.forget()
    checkpoint_file().path.unlink()
    checkpoint_file().path.mkdir()
    record(ADA, "token.created")
    assert AuditEntry.objects.filter(action="token.created").exists()
    assert "checkpoint could not be noted" in caplog.text


def test_digests_differ_by_every_field() -> None:
    record(ADA, "job.cancelled", "job 7", reason="long")
    entry = Entry(*AuditEntry.objects.values_list().get())
    others = [
        replace(entry, seq=2),
        replace(entry, at=entry.at + timedelta(microseconds=1)),
        replace(entry, actor="ada "),
        replace(entry, actor_id=None),
        replace(entry, action="job.cancelledjob 7", target=""),
        replace(entry, target="job 8"),
        replace(entry, detail={}),
        replace(entry, previous="1" * 64),
    ]
    assert len({digest_of(one) for one in [entry, *others]}) == 9


@contextmanager
def without_triggers() -> Iterator[Any]:
    """What the owner of the database can do, and an attacker in the owner's place."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE access_auditentry DISABLE TRIGGER access_audit_rows_stay")
        try:
            yield cursor
        finally:
            cursor.execute("ALTER TABLE access_auditentry ENABLE ALWAYS TRIGGER access_audit_rows_stay")


def sql(statement: str) -> None:
    with without_triggers() as cursor:
        cursor.execute(statement)


def rewrite(change: Callable[[Entry], Entry | None]) -> None:
    """The log as it would be had something else happened, with every digest made anew."""
    entries = [Entry(*row) for row in AuditEntry.objects.order_by("seq").values_list()]
    kept = [changed for entry in entries if (changed := change(entry)) is not None]
    previous = "0" * 64
    with without_triggers() as cursor:
        cursor.execute("DELETE FROM access_auditentry")
        for number, entry in enumerate(kept, start=1):
            anew = replace(entry, seq=number, previous=previous)
            previous = digest_of(anew)
            row = {name: getattr(anew, name) for name in Entry.__dataclass_fields__}
            AuditEntry.objects.create(**{**row, "digest": previous})
