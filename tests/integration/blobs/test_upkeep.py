from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest
from django.db import connections, transaction

from clustercore.blobs import services
from clustercore.blobs.adapters.cache import Cache
from clustercore.blobs.adapters.store import Store
from clustercore.blobs.domain.errors import BlobMissing, HubElsewhere
from clustercore.blobs.models import Blob, Hub
from clustercore.nodes.domain.hooks import agent_hooks
from tests.integration.blobs.conftest import MoveTo, RunningHub, delete, make_old, nobody

GIB = 1 << 30
T = TypeVar("T")


@pytest.fixture
def stored(hub: RunningHub, tmp_path: Path) -> list[str]:
    hashes = []
    for number in range(3):
        path = tmp_path / str(number)
        path.write_bytes(bytes([number]) * 1000)
        hashes.append(services.store_file(path))
    return hashes


def cached_hashes(data_dir: Path) -> set[str]:
    return {copy.sha256 for copy in Cache(data_dir).copies()}


def test_deleting_removes_the_file_and_marks_the_row(hub: RunningHub, stored: list[str]) -> None:
    delete(stored[:1])
    assert [path.name for path in hub.files()] == sorted(stored[1:])
    assert Blob.objects.get(pk=stored[0]).deleted is not None
    with pytest.raises(BlobMissing):
        services.local_path(stored[0])


def test_what_was_stored_of_late_is_left_for_whoever_stored_it(hub: RunningHub, stored: list[str]) -> None:
    assert services.delete_unreferenced(stored, nobody) == []
    make_old(stored)
    assert services.delete_unreferenced(stored, lambda asked: [stored[1]]) == sorted({*stored} - {stored[1]})
    assert [path.name for path in hub.files()] == [stored[1]]


def test_bytes_that_are_stored_once_more_are_stored_of_late(
    hub: RunningHub, stored: list[str], move_to: MoveTo, tmp_path: Path
) -> None:
    for elsewhere in (False, True):
        make_old(stored)
        move_to(tmp_path / "node" if elsewhere else hub.data_dir)
        services.store_file(tmp_path / "0")
        move_to(hub.data_dir)
        assert services.delete_unreferenced(stored[:1], nobody) == []


def test_what_somebody_is_referring_to_is_not_deleted_meanwhile(hub: RunningHub, stored: list[str]) -> None:
    make_old(stored)
    with transaction.atomic():
        assert services.lock_stored(stored[:1]) == {stored[0]}
        with ThreadPoolExecutor(1) as pool:
            deleting = pool.submit(elsewhere, lambda: services.delete_unreferenced(stored, nobody))
            assert deleting.result(20) == sorted(stored[1:])
    assert services.lock_stored(stored) == {stored[0]}


def elsewhere(act: Callable[[], T]) -> T:
    """What it returns, on a connection of its own."""
    try:
        return act()
    finally:
        connections.close_all()


def test_a_deletion_that_is_rolled_back_removes_nothing(hub: RunningHub, stored: list[str]) -> None:
    with pytest.raises(RuntimeError), transaction.atomic():
        delete(stored)
        raise RuntimeError("changed my mind")
    assert len(hub.files()) == 3
    assert Blob.objects.filter(deleted=None).count() == 3


def test_bytes_that_come_back_after_a_deletion_are_there_again(
    hub: RunningHub, stored: list[str], tmp_path: Path
) -> None:
    delete(stored)
    assert services.store_file(tmp_path / "0") == stored[0]
    services.tidy_cache(GIB)
    assert services.local_path(stored[0]).read_bytes() == bytes(1000)


def test_a_removal_that_comes_late_leaves_bytes_that_came_back(
    hub: RunningHub, stored: list[str], tmp_path: Path
) -> None:
    delete(stored[:1])
    services.store_file(tmp_path / "0")
    services.remove_deleted_files(stored[:1])
    assert services.local_path(stored[0]).read_bytes() == bytes(1000)


def test_a_node_drops_its_copies_of_deleted_blobs(
    hub: RunningHub, stored: list[str], move_to: MoveTo, tmp_path: Path
) -> None:
    move_to(tmp_path / "node")
    for sha256 in stored:
        services.local_path(sha256)
    move_to(hub.data_dir)
    delete(stored[:2])
    move_to(tmp_path / "node")
    services.tidy_cache(GIB)
    assert cached_hashes(tmp_path / "node") == {stored[2]}


def test_a_deletion_asked_for_elsewhere_reaches_the_store_with_the_hubs_upkeep(
    hub: RunningHub, stored: list[str], move_to: MoveTo, tmp_path: Path
) -> None:
    move_to(tmp_path / "node")
    delete(stored)
    assert len(hub.files()) == 3
    move_to(hub.data_dir)
    services.tidy_cache(GIB)
    assert hub.files() == []


def test_a_node_keeps_its_cache_within_the_budget(stored: list[str], move_to: MoveTo, tmp_path: Path) -> None:
    move_to(tmp_path / "node")
    for age, sha256 in enumerate(stored):
        os.utime(services.local_path(sha256), (1_000_000 - age, 1_000_000 - age))
    services.tidy_cache(2000)
    assert cached_hashes(tmp_path / "node") == set(stored[:2])
    assert services.local_path(stored[2]).read_bytes() == b"\2" * 1000


def test_many_processes_establish_one_hub(transactional_db: None, tmp_path: Path) -> None:
    def establish(number: int) -> str:
        try:
            return services.establish_hub(tmp_path, "http://127.0.0.1:7000").identity
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        identities = set(pool.map(establish, range(12)))
    assert identities == {Hub.objects.get().identity, Store(tmp_path).identity()}


def test_establishing_again_keeps_the_key_and_takes_the_new_address(transactional_db: None, tmp_path: Path) -> None:
    before = services.establish_hub(tmp_path, "http://127.0.0.1:7000")
    after = services.establish_hub(tmp_path, "http://127.0.0.1:7001")
    assert (before.signing_key, before.identity) == (after.signing_key, after.identity)
    assert Hub.objects.get().blob_url == "http://127.0.0.1:7001"


def test_a_second_machine_cannot_become_the_hub(hub: RunningHub, tmp_path: Path) -> None:
    with pytest.raises(HubElsewhere, match="clustercore node"):
        services.establish_hub(tmp_path, "http://127.0.0.1:7000")
    assert Hub.objects.get().blob_url == hub.url


def test_storing_and_deleting_the_same_bytes_at_once_never_leaves_a_row_without_a_file(
    hub: RunningHub, tmp_path: Path
) -> None:
    path = tmp_path / "contested"
    path.write_bytes(b"contested")

    def act(number: int) -> None:
        try:
            sha256 = services.store_file(path)
            if number % 2:
                delete([sha256])
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(act, range(40)))
    blob = Blob.objects.get()
    assert (blob.deleted is None) == bool(hub.files())


def test_a_nodes_agent_keeps_its_cache_tidy_without_waiting_for_it(
    hub: RunningHub, stored: list[str], move_to: MoveTo, tmp_path: Path
) -> None:
    move_to(tmp_path / "node")
    for sha256 in stored:
        services.local_path(sha256)
    delete(stored[:2])
    upkeep = services.CacheUpkeep(lambda: None)
    upkeep.on_tick(object())
    upkeep._running.join(10)
    assert cached_hashes(tmp_path / "node") == {stored[2]}


def test_upkeep_outlives_a_hub_that_is_away(transactional_db: None, caplog: pytest.LogCaptureFixture) -> None:
    upkeep = services.CacheUpkeep(lambda: None)
    upkeep.on_tick(object())
    upkeep._running.join(10)
    assert "put off: this cluster has no hub yet" in caplog.text


def test_the_product_registers_the_upkeep_with_its_agents() -> None:
    assert any(isinstance(hook, services.CacheUpkeep) for hook in agent_hooks)
