"""The row of a resumable upload while its bytes come, and the file beside it."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import Case, DateTimeField, ExpressionWrapper, F, When
from django.db.models.expressions import Combinable
from django.db.models.functions import Now

from clustercore.access.domain.errors import RequestRefused
from clustercore.blobs.adapters.files import SPARE_BYTES, is_of_this_start
from clustercore.blobs.adapters.partial import PartialFile
from clustercore.blobs.adapters.store import Store
from clustercore.blobs.domain.errors import UploadBusy
from clustercore.blobs.domain.reservations import RESERVED_SECONDS, room_for
from clustercore.blobs.domain.uploads import UploadState
from clustercore.blobs.models import Upload
from clustercore.blobs.selectors import reserved_bytes
from clustercore.config.environment import environment


def open_upload(store: Store, owner_id: int, name: str, media_type: str, size: int) -> Upload:
    """Begins a resumable upload of `size` bytes. Raises RequestRefused: 429 where the owner has too many open already,
    or too large ones, 507 where room is kept for others."""
    limit = environment().max_open_uploads
    with transaction.atomic():
        # The owner's row is the lock: two requests at once must not both be the last one allowed.
        get_user_model().objects.select_for_update(no_key=True).get(pk=owner_id)
        if Upload.objects.filter(owner_id=owner_id, state=UploadState.OPEN, expires__gt=Now()).count() >= limit:
            raise RequestRefused(
                429,
                f"{limit} uploads are open already (CLUSTERCORE_MAX_OPEN_UPLOADS): finish or delete one",
                code="too_many_uploads",
                retry_after=60,
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
    if size <= room_for(owner_id, {**reserved, owner_id: 0}, free):
        status, whose = 429, "your own uploads under way: finish or delete one"
    else:
        status, whose = 507, "uploads under way: try again when they have come"
    message = f"{size} bytes do not fit beside what is kept free for {whose}"
    raise RequestRefused(status, message, code="disk_reserved", retry_after=RESERVED_SECONDS)


def open_partial(store: Store, upload_id: UUID) -> tuple[Upload, PartialFile | None]:
    """An upload as it is now; while bytes may come for it, with its file, which is nobody else's until it is closed.

    Raises RequestRefused (404), UploadBusy.
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

    Raises RequestRefused (404), StoreFull.
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


def _upload_now(upload_id: UUID) -> Upload:
    upload = Upload.objects.filter(pk=upload_id).first()
    if upload is None:
        raise RequestRefused(404, "this upload was given up, or has expired", code="not_found")
    return upload


def _upload_expiry() -> Combinable:
    return ExpressionWrapper(Now() + timedelta(hours=environment().upload_hours), output_field=DateTimeField())
