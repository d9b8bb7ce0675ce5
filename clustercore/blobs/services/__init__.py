"""Writing: the store at the hub, and the copies that nodes keep.

A row never names bytes that are not there: the file gets its name under the row's lock, before the row is committed,
and a file is removed only under the lock of a row that says `deleted`. Whoever refers to a blob holds its row
(`lock_stored`) while they write that down; a row is marked as deleted only under a lock that waits for them.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

from django.db import DatabaseError, connection, connections, transaction
from django.db.models.functions import Now

from clustercore.blobs.adapters.cache import Cache
from clustercore.blobs.adapters.files import BLOCK_BYTES, Finished, hash_of
from clustercore.blobs.adapters.received import ReceivedFile
from clustercore.blobs.adapters.remote import Remote
from clustercore.blobs.adapters.store import Store
from clustercore.blobs.domain.addresses import checked_hash, hub_base_url
from clustercore.blobs.domain.errors import (
    BlobError,
    BlobMissing,
    BlobUnavailable,
    HubElsewhere,
    StoreFull,
)
from clustercore.blobs.domain.retention import to_drop
from clustercore.blobs.models import Blob, Hub
from clustercore.blobs.selectors import HubNow, existing, hub_now, settled_blobs, signed_for_transfer
from clustercore.blobs.services.leftovers import mark_unknown_files, sweep_uploads
from clustercore.config.environment import environment

logger = logging.getLogger(__name__)

UPKEEP_SECONDS = 60.0
_LOCK = """
SELECT sha256 FROM blobs_blob WHERE sha256 = ANY(%s) AND deleted IS NULL ORDER BY sha256 FOR KEY SHARE
"""
# Locked as it is found: what is marked as deleted must not go between the look and the lock.
_ENTER = """
INSERT INTO blobs_blob (sha256, size, media_type, created, stamped, seal)
VALUES (%(sha256)s, %(size)s, %(media_type)s, statement_timestamp(), statement_timestamp(), '')
ON CONFLICT (sha256) DO UPDATE SET stamped = excluded.stamped RETURNING seal, size
"""
_VERIFYING = [threading.Lock() for _ in range(256)]
"""By a hash's first byte: who comes for a blob that is being verified waits for that."""
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
    store = local_store(hub_now())
    if store is None:
        return _upload(path, media_type)
    with store.receive() as incoming:
        incoming.copy(path)
        return adopt(store, incoming.finish(), media_type)


def store_open_file(file: BinaryIO, media_type: str = "") -> str:
    """`store_file` for a file that is open already, on the hub's machine: nobody can put another in its place."""
    store = local_store(hub_now())
    if store is None:
        raise BlobUnavailable("only the hub's own machine can take a file by its path")
    with store.receive() as incoming:
        while block := file.read(BLOCK_BYTES):
            incoming.write(block)
        return adopt(store, incoming.finish(), media_type)


def keep(received: ReceivedFile) -> str:
    """Makes the file of a form a blob; returns its SHA-256. Raises BlobCorrupt, OSError."""
    return adopt(received.store, received.finished, received.media_type)


def adopt(store: Store, arrived: Finished, media_type: str) -> str:
    """Makes finished bytes a blob of the hub's store; its SHA-256. The same bytes twice are one blob.

    A file that stands there already is believed only as long as its seal holds. Raises BlobCorrupt, OSError.
    """
    enter(store, arrived, media_type)
    arrived.path.unlink(missing_ok=True)
    return arrived.sha256


def enter(store: Store, arrived: Finished, media_type: str) -> None:
    """Writes down that finished bytes are stored, and gives them their name unless they have it. Raises BlobCorrupt."""
    size = arrived.path.stat().st_size
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_ENTER, {"sha256": arrived.sha256, "size": size, "media_type": media_type[:100]})
            seal, standing_size = cursor.fetchone()
        if not store.holds(arrived.sha256, seal):
            seal, standing_size = store.place(arrived), size
        Blob.objects.filter(pk=arrived.sha256).update(seal=seal, size=standing_size, deleted=None, stamped=Now())


def renew(sha256: str) -> bool:
    """Stamps a blob as if it were stored now, where it is stored already; whether it is."""
    return Blob.objects.filter(pk=sha256, deleted=None).update(stamped=Now()) > 0


def lock_stored(sha256s: Collection[str]) -> set[str]:
    """Those of the hashes that are stored; none of them is deleted before the caller's transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, [list(sha256s)])
        return {row[0] for row in cursor.fetchall()}


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
    return _fetch(cache, sha256) if store is None else stored_paths(store, [sha256])[0]


@transaction.atomic
def delete_unreferenced(
    sha256s: Collection[str], referenced: Callable[[Collection[str]], Collection[str]]
) -> Collection[str]:
    """Deletes, once the caller's transaction is committed, those blobs that nobody refers to or stored of late.

    `referenced` says which of them somebody refers to, and is asked while their rows are locked. What another has
    locked is left for the next time. Returns what is deleted; nodes drop their copies at their next upkeep.
    """
    rows = settled_blobs().select_for_update(skip_locked=True).filter(pk__in=sha256s).order_by("pk")
    locked = list(rows.values_list("pk", flat=True))
    doomed = sorted(set(locked) - set(referenced(locked)))
    if doomed:
        Blob.objects.filter(pk__in=doomed).update(deleted=Now())
        transaction.on_commit(lambda: remove_deleted_files(doomed))
    return doomed


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
    """Finishes deletions and removes what is nobody's, on the hub's machine; elsewhere it does nothing."""
    store = local_store(hub_now())
    if store is None:
        return
    store.drop_abandoned()
    sweep_uploads(store)
    mark_unknown_files(store, int(time.time() // UPKEEP_SECONDS) % 256)
    for sha256 in Blob.objects.exclude(deleted=None).values_list("pk", flat=True):
        _remove_deleted_file(store, sha256)
    Blob.objects.filter(deleted__lt=Now() - timedelta(hours=TOMBSTONE_HOURS)).delete()


class CacheUpkeep:
    """A hook of the node agent: `collect`, which deletes what nobody refers to, and `tidy_cache`, every minute; beside
    the agent's thread, so that no lease waits for it."""

    def __init__(self, collect: Callable[[], object]) -> None:
        self._collect = collect
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
            self._collect()
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
    if not store.has_something_of(sha256):
        return
    with transaction.atomic():
        # Under the lock nobody stores these bytes anew between the look at the row and the removal.
        if Blob.objects.select_for_update().filter(pk=sha256).exclude(deleted=None).exists():
            store.remove(sha256)


def stored_paths(store: Store, sha256s: Sequence[str]) -> list[Path]:
    """Where blobs lie in the hub's store, each verified since the machine started: hashed once, then by its seal.

    What does not hash to its name is set aside and served to nobody. Raises BlobMissing.
    """
    seals = dict(Blob.objects.filter(pk__in=sha256s).values_list("sha256", "seal"))
    for sha256 in sha256s:
        if not store.holds(sha256, seals.get(sha256, "")):
            _verify(store, sha256)
    return [store.path(sha256) for sha256 in sha256s]


def _verify(store: Store, sha256: str) -> None:
    with _VERIFYING[int(sha256[:2], 16)]:
        blob = Blob.objects.filter(pk=sha256).first()
        if blob is not None and store.holds(sha256, blob.seal):
            return
        stands = store.hash(sha256)
        if blob is None or stands is None:
            raise BlobMissing(f"the hub has no blob {sha256}: {_why_missing(store, sha256)}")
        if stands.sha256 != sha256:
            _set_aside(store, stands, sha256)
        Blob.objects.filter(pk=sha256).update(seal=stands.seal)


def _set_aside(store: Store, damaged: Finished, sha256: str) -> None:
    with transaction.atomic():
        Blob.objects.select_for_update().filter(pk=sha256).first()
        # Not what somebody has put in its place since it was hashed.
        if store.holds(sha256, damaged.seal):
            logger.error("blob %s hashes to %s; it lies in %s", sha256, damaged.sha256, store.set_aside(sha256))
    raise BlobMissing(f"the hub has no blob {sha256}: {_why_missing(store, sha256)}")


def _why_missing(store: Store, sha256: str) -> str:
    if store.is_set_aside(sha256):
        return "its bytes were damaged on the hub's disk and have been set aside: submit the recording again"
    return "it was deleted or never stored"


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
    # Stamped before the hub is asked: what it has then, it keeps.
    _remote().upload(path, sha256, media_type, is_known=renew(sha256))
    return sha256


def _remote() -> Remote:
    settings = environment()
    base_url = hub_base_url(settings.hub_url, settings.database_url, hub_now().hub.blob_url)
    return Remote(base_url, signed_for_transfer)
