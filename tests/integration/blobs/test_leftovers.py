"""Files of the store whose commit failed: nobody knows of them, and nobody else would remove them."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections, transaction

from clustercore.blobs import services
from clustercore.blobs.adapters.store import Store
from clustercore.blobs.models import Blob
from clustercore.blobs.services.leftovers import mark_unknown_files
from clustercore.config.environment import environment
from tests.fakes.nodes.polling import until
from tests.integration.blobs.conftest import RunningHub, somebody_waits_for_a_lock

CONTENT = b"nobody knows of it"
HASH = hashlib.sha256(CONTENT).hexdigest()
FIRST_BYTE = int(HASH[:2], 16)


def store_it(hub: RunningHub) -> None:
    store = Store(hub.data_dir)
    with store.receive() as incoming:
        incoming.write(CONTENT)
        services.adopt(store, incoming.finish(), "")


@pytest.fixture
def leftover(hub: RunningHub) -> Store:
    """The hub's store with a file whose commit failed."""
    with pytest.raises(RuntimeError), transaction.atomic():
        store_it(hub)
        raise RuntimeError("the commit fails")
    assert not Blob.objects.exists()
    return Store(hub.data_dir)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody refers to is old after a moment."""
    monkeypatch.setenv("CLUSTERCORE_UNREFERENCED_HOURS", "1e-9")
    environment.cache_clear()


def test_a_file_whose_commit_failed_of_late_is_left(hub: RunningHub, leftover: Store) -> None:
    mark_unknown_files(leftover, FIRST_BYTE)
    services.tidy_store()
    assert leftover.path(HASH).exists()
    assert not Blob.objects.exists()


def test_a_file_whose_commit_failed_long_ago_is_removed(hub: RunningHub, leftover: Store, soon: None) -> None:
    mark_unknown_files(leftover, FIRST_BYTE)
    services.tidy_store()
    assert hub.files() == []
    store_it(hub)
    assert services.local_path(HASH).read_bytes() == CONTENT


def test_a_file_that_a_row_knows_is_left(hub: RunningHub, soon: None) -> None:
    store_it(hub)
    mark_unknown_files(Store(hub.data_dir), FIRST_BYTE)
    services.tidy_store()
    assert services.local_path(HASH).read_bytes() == CONTENT


def test_a_file_whose_row_is_just_about_to_be_committed_is_waited_for(hub: RunningHub, soon: None) -> None:
    def mark() -> None:
        try:
            mark_unknown_files(Store(hub.data_dir), FIRST_BYTE)
            services.tidy_store()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            store_it(hub)
            marking = pool.submit(mark)
            until(somebody_waits_for_a_lock, 20)
        marking.result(20)
    assert services.local_path(HASH).read_bytes() == CONTENT
