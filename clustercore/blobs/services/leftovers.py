"""What nobody will ask for any more: uploads that expired, and files without a row."""

from __future__ import annotations

import logging
import time
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from clustercore.blobs.adapters.partial import forget
from clustercore.blobs.adapters.store import Store
from clustercore.blobs.domain.uploads import UploadState
from clustercore.blobs.models import Blob, Upload
from clustercore.config.environment import environment

logger = logging.getLogger(__name__)


def sweep_uploads(store: Store) -> None:
    """Ends the uploads that expired, and removes files without one."""
    for upload_id in Upload.objects.filter(expires__lt=Now()).values_list("pk", flat=True):
        _end_expired(store, upload_id)
    # The files first: a file is made when its row is committed, so that one without a row now has lost it.
    paths = store.upload_paths()
    known = {str(upload_id) for upload_id in Upload.objects.values_list("pk", flat=True)}
    for path in paths:
        if path.name not in known:
            forget(path)


@transaction.atomic
def _end_expired(store: Store, upload_id: UUID) -> None:
    # Looked at again under the lock: bytes may have come since.
    upload = Upload.objects.select_for_update().filter(pk=upload_id, expires__lt=Now()).first()
    if upload is not None:
        upload.delete()
        transaction.on_commit(lambda: forget(store.upload_path(upload_id)))


def mark_unknown_files(store: Store, first_byte: int) -> None:
    """Marks as deleted what has stood in the store without a row for long: its commit failed. Upkeep removes it then.

    The row that says so is also the lock: who is just about to commit its own is waited for. Only hashes that begin
    with one byte are looked at, so that a large store is not read every minute.
    """
    standing = store.standing(first_byte, time.time() - environment().unreferenced_hours * 3600)
    known = set(Blob.objects.filter(pk__in=standing).values_list("pk", flat=True))
    # An upload that is whole may still become a blob by the file that stands there.
    known.update(Upload.objects.filter(state=UploadState.WHOLE, sha256__in=standing).values_list("sha256", flat=True))
    for sha256 in sorted(set(standing) - known):
        _, is_new = Blob.objects.get_or_create(sha256=sha256, defaults={"size": standing[sha256], "deleted": Now()})
        if is_new:
            logger.warning("blob %s stands in the store and no row says so: it is removed", sha256)
