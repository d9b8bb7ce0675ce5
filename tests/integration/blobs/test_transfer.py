from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from clustercore.blobs import services
from clustercore.blobs.adapters.cache import Cache
from clustercore.blobs.domain.errors import BlobMissing, BlobUnavailable
from clustercore.blobs.models import Blob, Hub
from clustercore.config.environment import environment
from tests.fakes.breaking_relay import breaking_relay
from tests.integration.blobs.conftest import MoveTo, RunningHub

CONTENT = os.urandom(5_000_003)
HASH = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "recording"
    path.write_bytes(CONTENT)
    return path


def test_the_hub_reads_its_own_store_without_a_copy(hub: RunningHub, source: Path) -> None:
    assert services.store_file(source, "audio/flac") == HASH
    assert services.local_path(HASH) == hub.data_dir / "blobs" / HASH[:2] / HASH[2:4] / HASH
    blob = Blob.objects.get()
    assert (blob.pk, blob.size, blob.media_type) == (HASH, len(CONTENT), "audio/flac")


def test_the_same_bytes_twice_are_one_blob(hub: RunningHub, source: Path) -> None:
    assert services.store_file(source) == services.store_file(source)
    assert len(hub.files()) == Blob.objects.count() == 1


def test_another_machine_fetches_what_the_hub_stored(
    hub: RunningHub, source: Path, move_to: MoveTo, tmp_path: Path
) -> None:
    services.store_file(source)
    for name in ("first", "second"):
        move_to(tmp_path / name)
        path = services.local_path(HASH)
        assert path.is_relative_to(tmp_path / name / "cache")
        assert path.read_bytes() == CONTENT


def test_what_another_machine_stores_is_at_the_hub(node: Path, hub: RunningHub, source: Path) -> None:
    assert services.store_file(source, "audio/flac") == HASH
    assert [path.read_bytes() for path in hub.files()] == [CONTENT]
    assert Blob.objects.get().media_type == "audio/flac"
    assert services.store_file(source) == HASH


def test_a_copy_serves_while_the_hub_is_away(
    node: Path, source: Path, hub: RunningHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    services.store_file(source)
    path = services.local_path(HASH)
    monkeypatch.setenv("CLUSTERCORE_HUB_URL", "http://127.0.0.1:1")
    environment.cache_clear()
    Hub.objects.all().delete()
    assert services.local_path(HASH) == path


def test_a_broken_download_goes_on_where_it_broke(
    node: Path, hub: RunningHub, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    services.store_file(source)
    with breaking_relay(("127.0.0.1", hub.port)) as relay:
        relay.break_after = [1_500_000, 1_500_000]
        monkeypatch.setenv("CLUSTERCORE_HUB_URL", f"http://127.0.0.1:{relay.port}")
        environment.cache_clear()
        assert services.local_path(HASH).read_bytes() == CONTENT
        assert relay.connections == 3
        assert relay.bytes_to_client < len(CONTENT) + 10_000


def test_a_download_that_gave_up_goes_on_later(
    node: Path, hub: RunningHub, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    services.store_file(source)
    with breaking_relay(("127.0.0.1", hub.port)) as relay:
        relay.break_after = [3_000_000, 1, 1, 1, 1, 1]
        monkeypatch.setenv("CLUSTERCORE_HUB_URL", f"http://127.0.0.1:{relay.port}")
        environment.cache_clear()
        with pytest.raises(BlobUnavailable, match="CLUSTERCORE_HUB_URL"):
            services.local_path(HASH)
        assert services.local_path(HASH).read_bytes() == CONTENT
        assert relay.bytes_to_client < len(CONTENT) + 10_000


def test_a_partial_download_with_wrong_bytes_is_thrown_away(node: Path, hub: RunningHub, source: Path) -> None:
    services.store_file(source)
    cache = Cache(node)
    download = cache.begin(HASH)
    download.path.write_bytes(b"\0" * 1_000_000)
    cache.give_up(download)
    assert services.local_path(HASH).read_bytes() == CONTENT


def test_a_complete_but_unverified_download_is_verified_and_kept(node: Path, hub: RunningHub, source: Path) -> None:
    services.store_file(source)
    cache = Cache(node)
    download = cache.begin(HASH)
    download.path.write_bytes(CONTENT)
    cache.give_up(download)
    assert services.local_path(HASH).read_bytes() == CONTENT


def test_bytes_that_rotted_at_the_hub_are_never_served(node: Path, hub: RunningHub, source: Path) -> None:
    services.store_file(source)
    (stored,) = hub.files()
    stored.write_bytes(CONTENT[:-1] + b"?")
    with pytest.raises(BlobMissing, match="set aside: submit the recording again"):
        services.local_path(HASH)
    assert Cache(node).copies() == []


def test_what_was_never_stored_is_missing(node: Path, move_to: MoveTo, hub: RunningHub) -> None:
    with pytest.raises(BlobMissing):
        services.local_path("0" * 64)
    move_to(hub.data_dir)
    with pytest.raises(BlobMissing):
        services.local_path("0" * 64)
    with pytest.raises(ValueError, match="not a SHA-256"):
        services.local_path("../../etc/passwd")
