"""Secrets that the hub needs, such as a token for downloads: encrypted in the database, their keys in a file beside it.

Who reads a dump of the database reads no secret, and who reads the key file has none to open. Values are never logged
and never shown: what is set can be used by the product, replaced and removed, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography.fernet import InvalidToken
from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from clustercore.access.adapters.key_file import KeyFile, KeysDamaged, cipher_of, new_key
from clustercore.access.domain.identity import Identity
from clustercore.access.domain.sealing import checked_name, checked_value, sealed, unsealed
from clustercore.access.models import EncryptedSetting
from clustercore.access.services.audit import record
from clustercore.access.services.audit_checkpoints import checkpoint_file

_LOST = (
    "the keys of the secrets are gone: {path} is missing or is not the one that they were encrypted with. Put it back "
    "from your backup of the data directory; without it nobody can read them, and the way on is "
    "`clustercore secrets rm {names}` and to set them anew."
)


class VaultLocked(Exception):
    """Secrets cannot be read or written; the message says what to do."""


@dataclass(frozen=True, slots=True)
class SecretNote:
    """What may be told of a secret."""

    name: str
    updated: datetime
    updated_by: str


def key_file() -> KeyFile:
    """Where the keys of this machine's data directory lie, if it has any."""
    return KeyFile(Path(settings.DATA_DIR) / "secrets" / "settings.keys")


def put(identity: Identity, name: str, value: str) -> None:
    """Keeps a secret, in place of the one that had the name. Raises SecretRefused, VaultLocked, OSError."""
    name, value = checked_name(name), checked_value(value)
    if not checkpoint_file().is_kept:
        raise VaultLocked("secrets are kept at the hub: set them on the machine where `clustercore up` runs")
    keys = key_file()
    with keys.held(), transaction.atomic(durable=True):
        ciphertext = cipher_of(_keys_to_write(keys, name)).encrypt(sealed(name, value)).decode("ascii")
        values = {"ciphertext": ciphertext, "updated": Now(), "updated_by": identity.name}
        EncryptedSetting.objects.update_or_create(name=name, defaults=values)
        record(identity, "secret.set", name)


def get(name: str) -> str | None:
    """The secret; None when it is not set. Raises VaultLocked, OSError."""
    for _attempt in (1, 2):
        row = EncryptedSetting.objects.filter(name=name).first()
        if row is None:
            return None
        try:
            return _opened(row, _keys(key_file()))
        except InvalidToken:
            # Between the row and the keys somebody may have rotated them: look again, once.
            continue
    raise _lost([name])


def remove(identity: Identity, name: str) -> bool:
    """Forgets a secret, also one whose keys are gone; False when there was none."""
    with transaction.atomic():
        removed, _ = EncryptedSetting.objects.filter(name=name).delete()
        if removed:
            record(identity, "secret.removed", name)
    return bool(removed)


def names() -> list[SecretNote]:
    """What is set, by name, and since when; never the values."""
    return [SecretNote(row.name, row.updated, row.updated_by) for row in EncryptedSetting.objects.order_by("name")]


def rotate(identity: Identity) -> int:
    """Encrypts every secret with a new key and forgets the old ones; returns how many secrets there are.

    The old keys stay in the file until every secret is encrypted anew, so that a crash in between loses nothing.
    Raises VaultLocked, OSError.
    """
    keys = key_file()
    with keys.held():
        old, fresh = _keys(keys), new_key()
        rows = list(EncryptedSetting.objects.order_by("name"))
        if rows:
            _require_readable(rows, old)
        keys.write([fresh, *old])
        with transaction.atomic(durable=True):
            for row in EncryptedSetting.objects.select_for_update():
                row.ciphertext = cipher_of([fresh, *old]).rotate(row.ciphertext).decode("ascii")
                row.save(update_fields=["ciphertext"])
            record(identity, "secrets.rotated", "", count=len(rows))
        keys.write([fresh])
    return len(rows)


def _keys_to_write(keys: KeyFile, name: str) -> list[str]:
    """The keys that there are, or the first one; never a new one beside secrets that nobody could read any more."""
    known = _keys(keys)
    others = list(EncryptedSetting.objects.exclude(name=name).order_by("name"))
    if others:
        _require_readable(others, known)
    if not known:
        known = [new_key()]
        keys.write(known)
    return known


def _require_readable(rows: Sequence[EncryptedSetting], keys: Sequence[str]) -> None:
    for row in rows:
        try:
            _opened(row, keys)
        except InvalidToken as error:
            raise _lost([one.name for one in rows]) from error


def _opened(row: EncryptedSetting, keys: Sequence[str]) -> str:
    if not keys:
        raise InvalidToken
    value = unsealed(row.name, cipher_of(keys).decrypt(row.ciphertext))
    if value is None:
        raise VaultLocked(f"the row of {row.name} holds another secret: somebody changed the database; set it anew")
    return value


def _keys(file: KeyFile) -> list[str]:
    try:
        return file.read()
    except KeysDamaged as damage:
        known = " ".join(EncryptedSetting.objects.order_by("name").values_list("name", flat=True))
        remedy = _LOST.format(path=file.path, names=known) if known else "No secret needs it: move it away."
        raise VaultLocked(f"{damage}. {remedy}") from None


def _lost(names_of_secrets: Sequence[str]) -> VaultLocked:
    return VaultLocked(_LOST.format(path=key_file().path, names=" ".join(names_of_secrets)))
