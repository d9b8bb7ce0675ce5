"""Writing the audit log: one entry for each thing that a person, or a person's program, changed.

Entries form a chain. Each carries the digest of the one before it, so that none can be changed, removed, inserted or
moved without breaking what follows; `audit_verification` checks that.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from clustercore.access.domain.audit_chain import (
    GENESIS,
    Entry,
    canonical_json,
    clean_detail,
    clean_text,
    digest_of,
)
from clustercore.access.domain.identity import Identity
from clustercore.access.models import AuditEntry
from clustercore.access.services.audit_checkpoints import note_checkpoint_when_due
from clustercore.embedded.domain.advisory_locks import AdvisoryLock


def record(identity: Identity, action: str, target: str = "", **detail: Any) -> None:
    """Adds to the log that `identity` did `action` (`token.created`) to `target` (`job 7`).

    `detail` is JSON values, and never a secret: what is named like one is masked. Of a program's token its number is
    added. The entry is of the caller's
    transaction and goes with it, so that a deed without its entry, or an entry without its deed, cannot be. Call it
    last there: until the transaction ends, nobody else can write the log.
    """
    with transaction.atomic(savepoint=False):
        previous = _locked_head()
        by_token = {} if identity.token_id is None else {"token_id": identity.token_id}
        at, stored = _as_stored(clean_detail({**detail, **by_token}))
        entry = Entry(
            seq=previous.seq + 1 if previous else 1,
            at=at,
            actor=clean_text(identity.name),
            actor_id=identity.user_id,
            action=clean_text(action),
            target=clean_text(target),
            detail=stored,
            previous=previous.digest if previous else GENESIS,
        )
        AuditEntry.objects.create(
            seq=entry.seq,
            at=entry.at,
            actor=entry.actor,
            actor_id=entry.actor_id,
            action=entry.action,
            target=entry.target,
            detail=entry.detail,
            previous=entry.previous,
            digest=digest_of(entry),
        )
        transaction.on_commit(note_checkpoint_when_due, robust=True)


def _locked_head() -> AuditEntry | None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [AdvisoryLock.AUDIT_CHAIN])
    # A statement of its own: only one that begins under the lock sees what its last holder committed.
    return AuditEntry.objects.order_by("-seq").first()


def _as_stored(detail: dict[str, Any]) -> tuple[datetime, dict[str, Any]]:
    """The database's clock, and `detail` as it will be read again: jsonb respells numbers."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp(), %s::jsonb::text", [canonical_json(detail)])
        at, stored = cursor.fetchone()
    return at, json.loads(stored)
