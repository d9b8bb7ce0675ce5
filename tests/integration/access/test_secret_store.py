"""Secrets of the hub: nobody who reads the database reads them, keys can be changed, and a lost key is said plainly."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from clustercore.access.adapters import key_file as key_files
from clustercore.access.domain.encryption import SecretRefused
from clustercore.access.domain.identity import Identity, at_terminal
from clustercore.access.models import AuditEntry, EncryptedSetting
from clustercore.access.services import secret_store
from clustercore.access.services.audit_checkpoints import establish_checkpoints
from clustercore.access.services.secret_store import SecretStoreLocked

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]
ADA = Identity(7, "ada", None)
NAME, VALUE = "model-download-token", "hf_thisMustNeverBeSeenAnywhere"


@pytest.fixture(autouse=True)
def keys(tmp_path: Path, settings: Any) -> Iterator[Path]:
    """The key file of a hub whose data directory is the test's own."""
    settings.DATA_DIR = tmp_path
    establish_checkpoints()
    yield tmp_path / "secrets" / "settings.keys"


def test_a_secret_is_read_back_and_its_keys_are_for_their_owner_alone(keys: Path) -> None:
    secret_store.put(ADA, NAME, VALUE + "\n")
    assert secret_store.get(NAME) == VALUE
    assert keys.stat().st_mode & 0o777 == 0o600
    assert keys.parent.stat().st_mode & 0o777 == 0o700


def test_what_is_not_set_is_none_even_without_keys(keys: Path) -> None:
    assert secret_store.get(NAME) is None
    assert not keys.exists()


def test_a_dump_of_the_database_holds_no_secret(keys: Path) -> None:
    secret_store.put(ADA, NAME, VALUE)
    secret_store.put(ADA, NAME, VALUE + "2")
    dump = dump_of_database()
    assert b"access_encryptedsetting" in dump
    assert NAME.encode() in dump
    assert b"thisMustNeverBeSeen" not in dump
    for key in keys.read_text().split():
        assert key.encode() not in dump


def test_a_copy_of_the_data_directory_without_the_database_holds_no_secret(keys: Path, tmp_path: Path) -> None:
    secret_store.put(ADA, NAME, VALUE)
    content = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert VALUE.encode() not in content


def test_the_audit_log_says_who_set_it_and_not_what(keys: Path) -> None:
    secret_store.put(ADA, NAME, VALUE)
    secret_store.rotate(ADA)
    secret_store.remove(at_terminal("root"), NAME)
    entries = AuditEntry.objects.order_by("seq")
    assert [(entry.actor, entry.action, entry.target) for entry in entries] == [
        ("ada", "secret.set", NAME),
        ("ada", "secrets.rotated", ""),
        ("terminal:root", "secret.removed", NAME),
    ]
    assert VALUE not in "".join(str(entry.detail) for entry in entries)


def test_after_rotation_everything_is_readable_with_the_new_key_alone(keys: Path) -> None:
    secret_store.put(ADA, "one", VALUE)
    secret_store.put(ADA, "two", VALUE + "2")
    old, before = keys.read_text().split(), set(ciphertexts())
    assert secret_store.rotate(ADA) == 2
    assert (secret_store.get("one"), secret_store.get("two")) == (VALUE, VALUE + "2")
    assert len(keys.read_text().split()) == 1
    assert not set(old) & set(keys.read_text().split())
    assert not before & set(ciphertexts())


def test_a_rotation_that_breaks_off_loses_nothing(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret_store.put(ADA, NAME, VALUE)

    def break_off(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(secret_store, "record", break_off)
    with pytest.raises(KeyboardInterrupt):
        secret_store.rotate(ADA)
    monkeypatch.undo()
    assert len(keys.read_text().split()) == 2
    assert secret_store.get(NAME) == VALUE
    secret_store.rotate(ADA)
    assert len(keys.read_text().split()) == 1
    assert secret_store.get(NAME) == VALUE


def test_rotating_and_setting_and_reading_at_once_loses_nothing(keys: Path) -> None:
    secret_store.put(ADA, NAME, VALUE)

    def work(number: int) -> str | None:
        try:
            if number % 3 == 0:
                secret_store.rotate(ADA)
            if number % 3 == 1:
                secret_store.put(ADA, f"other-{number}", str(number))
            return secret_store.get(NAME)
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(work, range(24))) == {VALUE}
    assert [secret_store.get(f"other-{number}") for number in range(1, 24, 3)] == [str(n) for n in range(1, 24, 3)]


def test_a_lost_key_file_is_said_with_what_to_do(keys: Path) -> None:
    secret_store.put(ADA, NAME, VALUE)
    keys.unlink()
    attempts = (
        lambda: secret_store.get(NAME),
        lambda: secret_store.put(ADA, "another", "x"),
        lambda: secret_store.rotate(ADA),
    )
    for attempt in attempts:
        with pytest.raises(SecretStoreLocked) as caught:
            attempt()
        assert str(keys) in str(caught.value)
        assert "backup" in str(caught.value)
        assert f"clustercore secrets rm {NAME}" in str(caught.value)
    assert not keys.exists()


def test_with_the_lost_key_replaced_by_another_it_is_the_same(keys: Path) -> None:
    secret_store.put(ADA, NAME, VALUE)
    keys.write_text(key_files.new_key())
    with pytest.raises(SecretStoreLocked, match="not the one"):
        secret_store.get(NAME)


def test_a_key_file_that_holds_no_key_is_said_without_repeating_it(keys: Path) -> None:
    secret_store.put(ADA, NAME, VALUE)
    keys.write_text("almostAKey")
    with pytest.raises(SecretStoreLocked, match="no key") as caught:
        secret_store.get(NAME)
    assert "almostAKey" not in str(caught.value)


def test_after_a_lost_key_secrets_are_removed_and_set_anew(keys: Path) -> None:
    secret_store.put(ADA, NAME, VALUE)
    keys.unlink()
    assert secret_store.remove(ADA, NAME)
    secret_store.put(ADA, NAME, VALUE + "2")
    assert secret_store.get(NAME) == VALUE + "2"


def test_a_row_that_was_moved_to_another_name_is_refused(keys: Path) -> None:
    secret_store.put(ADA, "one", VALUE)
    secret_store.put(ADA, "two", VALUE + "2")
    EncryptedSetting.objects.filter(name="two").update(ciphertext=EncryptedSetting.objects.get(name="one").ciphertext)
    with pytest.raises(SecretStoreLocked, match="another secret"):
        secret_store.get("two")


@pytest.mark.parametrize("value", ["", " \n", "two\nlines", "x" * 9000, "nul\0"])
def test_a_value_that_is_none_is_refused_without_repeating_it(keys: Path, value: str) -> None:
    with pytest.raises(SecretRefused) as caught:
        secret_store.put(ADA, NAME, value)
    assert not value.strip() or value not in str(caught.value)
    assert secret_store.names() == []


def test_a_machine_that_is_no_hub_keeps_none(tmp_path: Path, settings: Any) -> None:
    settings.DATA_DIR = tmp_path / "of-a-node"
    with pytest.raises(SecretStoreLocked, match="at the hub"):
        secret_store.put(ADA, NAME, VALUE)
    assert not settings.DATA_DIR.exists()


def test_what_python_shows_of_a_setting_is_its_name(keys: Path) -> None:
    secret_store.put(ADA, NAME, VALUE)
    row = EncryptedSetting.objects.get()
    assert VALUE not in f"{row} {row!r} {secret_store.names()} {row.__dict__}"


def ciphertexts() -> list[str]:
    return list(EncryptedSetting.objects.values_list("ciphertext", flat=True))


def dump_of_database() -> bytes:
    """All that a backup would hold: every table, as PostgreSQL writes it."""
    with connection.cursor() as cursor:
        tables = connection.introspection.table_names(cursor)
        return b"\n".join(table.encode() + b"\n" + copied(cursor, table) for table in tables)


def copied(cursor: Any, table: str) -> bytes:
    with cursor.copy(f'COPY "{table}" TO STDOUT') as copy:
        return b"".join(bytes(block) for block in copy)
