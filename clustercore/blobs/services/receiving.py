"""A resumable upload: its row while bytes come, the file beside it, and how it becomes a blob."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import Case, DateTimeField, ExpressionWrapper, F, When
from django.db.models.expressions import Combinable
from django.db.models.functions import Now

from clustercore.access.domain.errors import NotFound
from clustercore.blobs.adapters.files import SPARE_BYTES, Finished, is_of_this_start
from clustercore.blobs.adapters.partial import PartialFile, forget
from clustercore.blobs.adapters.store import Store
from clustercore.blobs.domain.errors import (
    BlobCorrupt,
    BlobUnavailable,
    OwnUploadsFillDisk,
    TooManyUploads,
    UploadBusy,
    UploadCorrupt,
    UploadDeleted,
    UploadIncomplete,
    UploadsFillDisk,
)
from clustercore.blobs.domain.reservations import RESERVED_SECONDS, room_for
from clustercore.blobs.domain.uploads import UploadState
from clustercore.blobs.models import Upload
from clustercore.blobs.selectors import hub_now, reserved_bytes
from clustercore.blobs.services import adopt, enter, local_store, renew
from clustercore.config.environment import environment

logger = logging.getLogger(__name__)


def open_upload(store: Store, owner_id: int, name: str, media_type: str, size: int) -> Upload:
    """Begins a resumable upload of `size` bytes. Raises TooManyUploads, OwnUploadsFillDisk, UploadsFillDisk."""
    limit = environment().max_open_uploads
    with transaction.atomic():
        # The owner's row is the lock: two requests at once must not both be the last one allowed.
        get_user_model().objects.select_for_update(no_key=True).get(pk=owner_id)
        if Upload.objects.filter(owner_id=owner_id, state=UploadState.OPEN, expires__gt=Now()).count() >= limit:
            raise TooManyUploads(
                f"{limit} uploads are open already (CLUSTERCORE_MAX_OPEN_UPLOADS): finish or delete one"
            )
        _refuse_without_room(owner_id, size, store.free_bytes() - SPARE_BYTES)
        upload = Upload.objects.create(
            owner_id=owner_id,
            name=name,
            media_type=media_type[:100],
            size=size,
            created=Now(),
            expires=_upload_expiry(),
        )
    upload.refresh_from_db()
    return upload


def _refuse_without_room(owner_id: int, size: int, free: int) -> None:
    reserved = reserved_bytes()
    if size <= room_for(owner_id, reserved, free):
        return
    message = f"{size} bytes do not fit beside what is kept free for"
    if size <= room_for(owner_id, {**reserved, owner_id: 0}, free):
        own = f"{message} your own uploads under way: finish or delete one"
        raise OwnUploadsFillDisk(own, retry_after=RESERVED_SECONDS)
    others = f"{message} uploads under way: try again when they have come"
    raise UploadsFillDisk(others, retry_after=RESERVED_SECONDS)


def open_partial(store: Store, upload_id: UUID) -> tuple[Upload, PartialFile | None]:
    """An upload as it is now; while bytes may come for it, with its file, which is nobody else's until it is closed.

    Raises NotFound, UploadBusy.
    """
    upload = _upload_now(upload_id)
    if upload.state != UploadState.OPEN:
        return upload, None
    file = PartialFile(store.upload_path(upload_id))
    try:
        upload = _upload_now(upload_id)
        if upload.state != UploadState.OPEN:
            raise UploadBusy("this upload became whole a moment ago: ask how much of it came")
        if not is_of_this_start(upload.seal):
            file.cut_to(upload.offset)
    except BaseException:
        file.close()
        raise
    return upload, file


def note_upload(upload: Upload, file: PartialFile) -> Upload:
    """Flushes what came of an upload and writes down how far it is; it is kept for longer again.

    Raises NotFound, StoreFull.
    """
    noted: dict[str, object] = {"state": UploadState.OPEN, "offset": file.size}
    if file.size == upload.size:
        finished = file.finish()
        noted |= {"state": UploadState.WHOLE, "sha256": finished.sha256, "seal": finished.seal}
    else:
        file.flush()
        noted["seal"] = file.seal
    moved = Case(When(offset__lt=file.size, then=Now()), default=F("moved"))
    Upload.objects.filter(pk=upload.pk).update(**noted, moved=moved, expires=_upload_expiry())
    return _upload_now(upload.pk)


def end_upload(store: Store, upload_id: UUID) -> None:
    """Forgets an upload and what came of it; a blob that was made of it stays."""
    Upload.objects.filter(pk=upload_id).delete()
    forget(store.upload_path(upload_id))


def keep_upload(upload_id: UUID) -> str:
    """Makes a whole upload a blob, or finds that it is one; returns its SHA-256.

    Raises UploadIncomplete,
    UploadDeleted, UploadCorrupt, UploadBusy, BlobUnavailable.
    """
    store = local_store(hub_now())
    if store is None:
        raise BlobUnavailable("this process does not have the hub's store")
    _verify_whole(store, upload_id)
    with transaction.atomic():
        upload = Upload.objects.select_for_update().get(pk=upload_id)
        path = store.upload_path(upload_id)
        if upload.state == UploadState.OPEN:
            message = f"{upload.offset} of {upload.size} bytes have come: send the rest first"
            raise UploadIncomplete(message, field="upload")
        if upload.state == UploadState.WHOLE and path.exists():
            _adopt_upload(store, upload, path)
        elif not renew(upload.sha256) and not _adopt_standing(store, upload):
            raise UploadDeleted("what was uploaded has been deleted: upload it again", field="upload")
        Upload.objects.filter(pk=upload_id).update(state=UploadState.KEPT)
    return upload.sha256


def _verify_whole(store: Store, upload_id: UUID) -> None:
    """Hashes a whole upload again if its seal is broken: in no transaction, which the ledger ends when it idles."""
    upload = Upload.objects.filter(pk=upload_id, state=UploadState.WHOLE).first()
    if upload is not None:
        with suppress(FileNotFoundError), _corrupt_is_refused(upload):
            path = store.upload_path(upload_id)
            path = path if path.exists() else store.path(upload.sha256)
            whole = Finished(path, upload.sha256, upload.seal).verified()
            Upload.objects.filter(pk=upload_id).update(seal=whole.seal)


def _adopt_upload(store: Store, upload: Upload, path: Path) -> None:
    try:
        with _corrupt_is_refused(upload), PartialFile(path):
            adopt(store, Finished(path, upload.sha256, upload.seal), upload.media_type)
        forget(path)
    except UploadBusy as error:
        raise UploadBusy(str(error), field="upload") from error


def _adopt_standing(store: Store, upload: Upload) -> bool:
    """The file got its name and the commit failed that would have said so; whether that was it."""
    if upload.state != UploadState.WHOLE:
        return False
    with suppress(FileNotFoundError), _corrupt_is_refused(upload):
        enter(store, Finished(store.path(upload.sha256), upload.sha256, upload.seal), upload.media_type)
        return True
    return False


@contextmanager
def _corrupt_is_refused(upload: Upload) -> Iterator[None]:
    try:
        yield
    except BlobCorrupt as error:
        logger.error("upload %s came to harm: %s", upload.pk, error)
        message = "what was uploaded came to harm on the hub's disk: delete this upload and send the file again"
        raise UploadCorrupt(message, field="upload") from error


def _upload_now(upload_id: UUID) -> Upload:
    upload = Upload.objects.filter(pk=upload_id).first()
    if upload is None:
        raise NotFound("this upload was given up, or has expired")
    return upload


def _upload_expiry() -> Combinable:
    return ExpressionWrapper(Now() + timedelta(hours=environment().upload_hours), output_field=DateTimeField())
