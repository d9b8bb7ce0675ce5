"""Reading: who the hub is, and links to blobs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import BigIntegerField, F, QuerySet, Sum
from django.db.models.functions import Now

from clustercore.blobs.domain.addresses import checked_hash
from clustercore.blobs.domain.errors import BlobUnavailable
from clustercore.blobs.domain.reservations import RESERVED_SECONDS
from clustercore.blobs.domain.signing import signed_path
from clustercore.blobs.domain.uploads import UploadState
from clustercore.blobs.models import Blob, Hub, Upload
from clustercore.config.environment import environment

SIGNATURE_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class HubNow:
    """The hub, and what its ledger's clock says: nodes' own clocks take no part in signing."""

    hub: Hub
    now: datetime

    def signed_path(self, method: str, sha256: str, seconds: int = SIGNATURE_SECONDS) -> str:
        """The path and query of one request, good for so many seconds."""
        return signed_path(self.hub.signing_key, method, sha256, int(self.now.timestamp()) + seconds)


def hub_now() -> HubNow:
    """The hub and the time. Raises BlobUnavailable when no hub was ever established."""
    hub = Hub.objects.annotate(now=Now()).first()
    if hub is None:
        raise BlobUnavailable("this cluster has no hub yet: run `clustercore up` on the machine that is to be it")
    return HubNow(hub, hub.now)


def signed_for_transfer(method: str, sha256: str) -> str:
    """The path and query of a request that may take long: outside a transaction no connection is held meanwhile."""
    path = hub_now().signed_path(method, sha256)
    if not connection.in_atomic_block:
        connection.close()
    return path


def hub_identity() -> str:
    """Which hub this ledger belongs to; empty when none was ever established."""
    return Hub.objects.values_list("identity", flat=True).first() or ""


def download_path(sha256: str, seconds: int = SIGNATURE_SECONDS) -> str:
    """A signed link, relative to the web process, for a page that this process renders. Raises ValueError."""
    return hub_now().signed_path("GET", checked_hash(sha256), seconds)


def existing(sha256s: Collection[str]) -> set[str]:
    """Those of the hashes that the ledger holds as blobs not deleted."""
    return set(Blob.objects.filter(pk__in=list(sha256s), deleted=None).values_list("pk", flat=True))


def settled_blobs() -> QuerySet[Blob]:
    """What is stored, and was stored so long ago that whoever did it has had the time to refer to it."""
    grace = timedelta(hours=environment().unreferenced_hours)
    return Blob.objects.filter(deleted=None, stamped__lt=Now() - grace)


def uploads_of(owner_id: int | None) -> QuerySet[Upload]:
    """Somebody's resumable uploads that have not expired, the newest first. Nobody sees another's."""
    return Upload.objects.filter(owner_id=owner_id, expires__gt=Now()).exclude(owner_id=None)


def reserved_bytes() -> Mapping[int, int]:
    """What those uploads of each person that bytes are coming for may still bring."""
    coming = Upload.objects.filter(state=UploadState.OPEN, moved__gt=Now() - timedelta(seconds=RESERVED_SECONDS))
    left = Sum(F("size") - F("offset"), output_field=BigIntegerField())
    return dict(coming.order_by().values_list("owner_id").annotate(left=left))
