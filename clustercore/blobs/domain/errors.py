"""What can go wrong with bytes, as types that callers tell apart."""

from __future__ import annotations


class BlobError(Exception):
    """Base of them all; the message is for people and names the remedy where there is one."""


class BlobMissing(BlobError):
    """The hub does not have these bytes: they were deleted, never stored, or damaged. Trying again does not help."""


class BlobGone(BlobError):
    """It was deleted between being stored and being referred to. Storing it again helps."""


class BlobRefused(BlobError):
    """The hub does not want them (too large, disk full, signature refused). Trying again soon does not help."""


class BlobUnavailable(BlobError):
    """The hub could not be reached, or the connection kept breaking. Trying again later helps."""


class BlobCorrupt(BlobError):
    """The bytes do not have the hash they were named by; nothing of them was kept."""


class UploadBusy(BlobError):
    """Another process takes bytes for this upload, or ends it. Trying again soon helps."""


class StoreFull(BlobError):
    """There is no room left on the disk of the store; nothing was kept."""


class HubElsewhere(BlobError):
    """The ledger names another data directory as the hub's."""
