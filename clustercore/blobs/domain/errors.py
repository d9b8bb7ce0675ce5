"""What can go wrong with bytes, as types that callers tell apart."""

from __future__ import annotations

from clustercore.access.domain.errors import Conflict, InUse, Invalid, NoRoom, TooMany, Unavailable


class BlobError(Exception):
    """Base of them all; the message is for people and names the remedy where there is one."""


class BlobMissing(BlobError):
    """The hub does not have these bytes: they were deleted, never stored, or damaged. Trying again does not help."""


class BlobGone(BlobError):
    """It was deleted between being stored and being referred to. Storing it again helps."""


class BlobRefused(BlobError):
    """The hub does not want them (too large, disk full, signature refused). Trying again soon does not help."""


class BlobUnavailable(BlobError, Unavailable):
    """The hub could not be reached, or the connection kept breaking. Trying again later helps."""

    code = "no_hub"


class BlobCorrupt(BlobError):
    """The bytes do not have the hash they were named by; nothing of them was kept."""


class StoreFull(BlobError, NoRoom):
    """There is no room left on the disk of the store; nothing was kept."""

    retry_after = 60


class HubElsewhere(BlobError):
    """The ledger names another data directory as the hub's."""


class UploadBusy(BlobError, InUse):
    """Another process takes bytes for this upload, or ends it. Trying again soon helps."""

    code = "upload_busy"
    retry_after = 5


class UploadTakenOver(BlobError, Conflict):
    """Another connection goes on with this upload."""

    code = "taken_over"


class UploadIncomplete(BlobError, Conflict):
    """Not all of it has come."""

    code = "upload_incomplete"


class UploadDeleted(BlobError, Conflict):
    """What came has been deleted since."""


class UploadCorrupt(BlobError, Conflict):
    """What came is damaged on the hub's disk."""

    code = "upload_corrupt"


class TooManyUploads(BlobError, TooMany):
    """Somebody has as many open as one may."""

    code = "too_many_uploads"
    retry_after = 60


class OwnUploadsFillDisk(BlobError, TooMany):
    """It would fit, if its owner had not announced so much already."""

    code = "disk_reserved"


class UploadsFillDisk(BlobError, NoRoom):
    """It would fit, if others had not announced so much already."""

    code = "disk_reserved"


class BrokenForm(Invalid):
    """A form that cannot be read; the message says what is wrong with it."""

    code = "broken_form"
