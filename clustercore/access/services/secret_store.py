"""Secrets that the hub needs, such as a token for downloads: encrypted in the database, their keys in a file beside it.

Who reads a dump of the database reads no secret, and who reads the key file has none to open. Values are never logged
and never shown: what is set can be used by the product, replaced and removed, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography.fernet import InvalidToken
from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from clustercore.access.adapters.key_file import KeyFile, KeysDamaged, cipher_of, new_key
from clustercore.access.domain.encryption import checked_name, checked_value, sealed, unsealed
from clustercore.access.domain.identity import Identity
from clustercore.access.models import EncryptedSetting
from clustercore.access.services.audit import record
from clustercore.access.services.audit_checkpoints import checkpoint_file

_LOST = (
    "the keys of the secrets are gone: {path} is missing or is not the one that they were encrypted with. Put it back "
    "from your backup of the data directory; without it nobody can read them, and the way on is "
    "`clustercore secrets rm {names}` and to set them anew."
)


class SecretStoreLocked(Exception):
    """Secrets cannot be read or written; the message says what to do."""


@dataclass(frozen=True, slots=True)
class SecretNote:
    """What may be told of a secret."""

    name: str
    updated: datetime
    updated_by: str


def key_file() -> KeyFile:
    """Returns where the keys of this machine's data directory lie, if it has any."""
    return KeyFile(Path(settings.DATA_DIR) / "secrets" / "settings.keys")


def put(identity: Identity, name: str, value: str) -> None:
    """Keeps a secret, in place of the one that had the name. Raises SecretRefused, SecretStoreLocked, OSError."""
    name, value = checked_name(name), checked_value(value)
    if not checkpoint_file().is_kept:
        raise SecretStoreLocked("secrets are kept at the hub: set them on the machine where `clustercore up` runs")
    file = key_file()
    with _locked_where_unreadable(file), file.held(), transaction.atomic(durable=True):
        keys = file.read()
        for row in EncryptedSetting.objects.exclude(name=name):
            # Never a new key beside secrets that nobody could read any more.
            _opened(row, keys)
        if not keys:
            keys = [new_key()]
            file.write(keys)
        ciphertext = cipher_of(keys).encrypt(sealed(name, value)).decode("ascii")
        values = {"ciphertext": ciphertext, "updated": Now(), "updated_by": identity.name}
        EncryptedSetting.objects.update_or_create(name=name, defaults=values)
        record(identity, "secret.set", name)


def get(name: str) -> str | None:
    """Returns the secret; None when it is not set. Raises SecretStoreLocked, OSError."""
    file = key_file()
    with _locked_where_unreadable(file):
        try:
            return _read(name, file)
        except InvalidToken:
            # Between the row and the keys somebody may have rotated them: look again, once.
            return _read(name, file)


def remove(identity: Identity, name: str) -> bool:
    """Forgets a secret, also one whose keys are gone; False when there was none."""
    with transaction.atomic():
        removed, _ = EncryptedSetting.objects.filter(name=name).delete()
        if removed:
            record(identity, "secret.removed", name)
    return bool(removed)


def names() -> list[SecretNote]:
    """Returns what is set, by name, and since when; never the values."""
    return [SecretNote(row.name, row.updated, row.updated_by) for row in EncryptedSetting.objects.order_by("name")]


def rotate(identity: Identity) -> int:
    """Encrypts every secret with a new key and forgets the old ones; returns how many secrets there are.

    The old keys stay in the file until every secret is encrypted anew, so that a crash in between loses nothing.
    Raises SecretStoreLocked, OSError.
    """
    file = key_file()
    with _locked_where_unreadable(file), file.held():
        keys = [new_key(), *file.read()]
        with transaction.atomic(durable=True):
            rows = list(EncryptedSetting.objects.select_for_update())
            for row in rows:
                row.ciphertext = cipher_of(keys).rotate(row.ciphertext).decode("ascii")
            # Not before all of them could be read.
            file.write(keys)
            EncryptedSetting.objects.bulk_update(rows, ["ciphertext"])
            record(identity, "secrets.rotated", "", count=len(rows))
        file.write(keys[:1])
    return len(rows)


def _read(name: str, file: KeyFile) -> str | None:
    row = EncryptedSetting.objects.filter(name=name).first()
    return None if row is None else _opened(row, file.read())


def _opened(row: EncryptedSetting, keys: list[str]) -> str:
    if not keys:
        raise InvalidToken
    value = unsealed(row.name, cipher_of(keys).decrypt(row.ciphertext))
    if value is None:
        why = f"the row of {row.name} holds another secret: somebody changed the database; set it anew"
        raise SecretStoreLocked(why)
    return value


@contextmanager
def _locked_where_unreadable(file: KeyFile) -> Iterator[None]:
    """Says of keys that are lost or damaged what to do, as SecretStoreLocked."""
    try:
        yield
    except (InvalidToken, KeysDamaged) as trouble:
        known = " ".join(note.name for note in names())
        remedy = _LOST.format(path=file.path, names=known) if known else "No secret needs it: move it away."
        raise SecretStoreLocked(f"{trouble}. {remedy}" if isinstance(trouble, KeysDamaged) else remedy) from None
