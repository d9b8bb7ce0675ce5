"""Writing: the store at the hub, and the copies that nodes keep.

A row never names bytes that are not there: the file gets its name under the row's lock, before the row is committed,
and a file is removed only under the lock of a row that says `deleted`.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

from django.db import DatabaseError, connections, transaction
from django.db.models.functions import Now

from clustercore.blobs.adapters.cache import Cache
from clustercore.blobs.adapters.files import Incoming, hash_of
from clustercore.blobs.adapters.remote import Remote
from clustercore.blobs.adapters.store import Store
from clustercore.blobs.domain.addresses import checked_hash, hub_base_url
from clustercore.blobs.domain.errors import BlobError, BlobMissing, HubElsewhere, StoreFull
from clustercore.blobs.domain.retention import to_drop
from clustercore.blobs.models import Blob, Hub
from clustercore.blobs.selectors import HubNow, existing, hub_now
from clustercore.config.environment import environment

logger = logging.getLogger(__name__)

UPKEEP_SECONDS = 60.0
TOMBSTONE_HOURS = 24
"""How long the row of a deleted blob stays once its file is gone."""


def establish_hub(data_dir: Path, blob_url: str) -> Hub:
    """Makes this data directory the hub's, or confirms that it is; `blob_url` is where the web process answers.

    Safe to call again and by several processes at once. Raises HubElsewhere if the ledger names another directory.
    """
    identity = Store(data_dir).establish_identity()
    hub, _ = Hub.objects.get_or_create(
        singleton=True,
        defaults={"identity": identity, "signing_key": new_signing_key(), "blob_url": blob_url},
    )
    if hub.identity != identity:
        raise HubElsewhere(
            f"the hub of this cluster keeps its files elsewhere, not in {data_dir}: run `clustercore node` on this "
            "machine; or, if the old hub is gone for good, delete the hub in the admin and run this again"
        )
    if hub.blob_url != blob_url:
        hub.blob_url = blob_url
        hub.save(update_fields=["blob_url"])
    return hub


def new_signing_key() -> str:
    """256 random bits in hexadecimal."""
    return secrets.token_hex(32)


def store_file(path: Path, media_type: str = "") -> str:
    """Stores a file at the hub and returns its SHA-256; on another machine by a signed upload, retried.

    Raises StoreFull, BlobRefused, BlobUnavailable, OSError.
    """
    hub = hub_now()
    store = local_store(hub)
    if store is None:
        return _upload(path, media_type)
    with store.receive() as incoming:
        incoming.copy(path)
        return adopt(store, incoming, incoming.finish(), media_type)


def adopt(store: Store, incoming: Incoming, sha256: str, media_type: str) -> str:
    """Makes finished bytes a blob of the hub's store; the same bytes twice are one blob. Raises OSError."""
    with transaction.atomic():
        blob, _ = Blob.objects.get_or_create(
            sha256=sha256, defaults={"size": incoming.size, "media_type": media_type[:100]}
        )
        locked = Blob.objects.select_for_update().get(pk=blob.pk)
        store.place(incoming, sha256)
        if locked.deleted is not None:
            locked.deleted = None
            locked.save(update_fields=["deleted"])
    return sha256


def local_path(sha256: str) -> Path:
    """Where the bytes lie on this machine, fetching them first if need be.

    Do not write to it. Raises BlobMissing, BlobRefused, BlobUnavailable, BlobCorrupt, StoreFull, ValueError.
    """
    cache = Cache(environment().data_dir)
    # First, and without the ledger: a node goes on with what it holds while the hub is away.
    copy = cache.use(checked_hash(sha256))
    if copy is not None:
        return copy
    store = local_store(hub_now())
    return _fetch(cache, sha256) if store is None else _in_store(store, sha256)


def delete(sha256s: Iterable[str]) -> None:
    """Deletes blobs once the caller's transaction is committed; nodes drop their copies at their next upkeep."""
    hashes = [checked_hash(sha256) for sha256 in sha256s]
    Blob.objects.filter(pk__in=hashes, deleted=None).update(deleted=Now())
    transaction.on_commit(lambda: remove_deleted_files(hashes))


def remove_deleted_files(sha256s: Iterable[str]) -> None:
    """Removes what is marked as deleted from the store and the cache, as far as they are on this machine."""
    store = local_store(hub_now())
    cache = Cache(environment().data_dir)
    for sha256 in sha256s:
        cache.drop([sha256])
        if store is not None:
            _remove_deleted_file(store, sha256)


def tidy_cache(budget_bytes: int) -> None:
    """Upkeep, for a node's agent to call now and then: drops copies of deleted blobs, then the least recently used
    ones over the budget; on the hub's machine it also removes files whose deletion was asked for elsewhere."""
    cache = Cache(environment().data_dir)
    copies = cache.copies()
    wanted = existing([copy.sha256 for copy in copies])
    cache.drop(to_drop(copies, wanted, budget_bytes, time.time()))
    cache.drop_abandoned()
    tidy_store()


def tidy_store() -> None:
    """Finishes deletions and removes abandoned uploads, on the hub's machine; elsewhere it does nothing."""
    store = local_store(hub_now())
    if store is None:
        return
    store.drop_abandoned()
    for sha256 in Blob.objects.exclude(deleted=None).values_list("pk", flat=True):
        _remove_deleted_file(store, sha256)
    Blob.objects.filter(deleted__lt=Now() - timedelta(hours=TOMBSTONE_HOURS)).delete()


class CacheUpkeep:
    """A hook of the node agent: `tidy_cache` every minute, beside the agent's thread, so that no lease waits for it."""

    def __init__(self) -> None:
        self._due = time.monotonic()
        self._running = threading.Thread()

    def on_start(self, _agent: object) -> None:
        """Nothing to prepare."""

    def on_tick(self, _agent: object) -> None:
        """Starts the upkeep when it is due and the last one has ended."""
        if time.monotonic() < self._due or self._running.is_alive():
            return
        self._due = time.monotonic() + UPKEEP_SECONDS
        self._running = threading.Thread(target=self._tidy, name="cache-upkeep", daemon=True)
        self._running.start()

    def on_hand_back(self, _agent: object) -> None:
        """Holds nothing."""

    def _tidy(self) -> None:
        try:
            tidy_cache(int(environment().cache_budget_gb * 1e9))
        except (BlobError, DatabaseError, OSError) as problem:
            logger.warning("upkeep of cached blobs is put off: %s", problem)
        finally:
            connections.close_all()


def local_store(hub: HubNow) -> Store | None:
    """The hub's store if it lies in this process's data directory, else None."""
    store = Store(environment().data_dir)
    return store if store.identity() == hub.hub.identity else None


def _remove_deleted_file(store: Store, sha256: str) -> None:
    if not store.path(sha256).exists():
        return
    with transaction.atomic():
        # Under the lock nobody stores these bytes anew between the look at the row and the removal.
        if Blob.objects.select_for_update().filter(pk=sha256).exclude(deleted=None).exists():
            store.remove(sha256)


def _in_store(store: Store, sha256: str) -> Path:
    path = store.path(sha256)
    if not path.exists():
        raise BlobMissing(f"the hub has no blob {sha256}: it was deleted or never stored")
    return path


def _fetch(cache: Cache, sha256: str) -> Path:
    download = cache.begin(sha256)
    try:
        _remote().fetch(sha256, download.path)
        return cache.keep(download)
    except StoreFull:
        download.path.unlink(missing_ok=True)
        raise
    except BaseException:
        cache.give_up(download)
        raise


def _upload(path: Path, media_type: str) -> str:
    sha256 = hash_of(path)
    _remote().upload(path, sha256, media_type)
    return sha256


def _remote() -> Remote:
    settings = environment()
    base_url = hub_base_url(settings.hub_url, settings.database_url, hub_now().hub.blob_url)
    return Remote(base_url, lambda method, sha256: hub_now().signed_path(method, sha256))
