from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clustercore.blobs.adapters import files
from clustercore.blobs.adapters.cache import Cache
from clustercore.blobs.adapters.files import Incoming, hash_of
from clustercore.blobs.adapters.partial import PartialFile
from clustercore.blobs.adapters.store import Store
from clustercore.blobs.domain.errors import BlobCorrupt, StoreFull, UploadBusy

CONTENT = os.urandom(3_000_001)
HASH = hashlib.sha256(CONTENT).hexdigest()


def files_below(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.is_file())


def test_bytes_get_their_name_only_when_they_are_whole(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.receive() as incoming:
        incoming.write(CONTENT)
        assert not store.path(HASH).exists()
        finished = incoming.finish()
        assert finished.sha256 == HASH
        assert store.place(finished) == finished.seal
    assert store.path(HASH).read_bytes() == CONTENT
    assert store.holds(HASH, finished.seal)
    assert files_below(tmp_path) == [store.path(HASH)]


def test_an_upload_that_ends_early_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), Store(tmp_path).receive() as incoming:
        incoming.write(CONTENT)
        raise RuntimeError("the connection ended")
    assert files_below(tmp_path) == []


def test_bytes_that_are_not_what_they_were_announced_as_are_not_kept(tmp_path: Path) -> None:
    with pytest.raises(BlobCorrupt), Incoming(tmp_path) as incoming:
        incoming.write(CONTENT[:-1])
        incoming.finish_as(HASH)
    assert files_below(tmp_path) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(StoreFull, match="free some space"), Incoming(tmp_path) as incoming:
        incoming._file.close()
        incoming._file = Path("/dev/full").open("wb", buffering=0)  # noqa: SIM115 (the context closes it)
        incoming.write(CONTENT)
    assert files_below(tmp_path) == []


@pytest.mark.parametrize("kind", ["incoming", "partial"])
def test_what_arrives_leaves_room_for_the_servers_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(files, "SPARE_BYTES", 1 << 60)
    arriving = Incoming(tmp_path) if kind == "incoming" else PartialFile(tmp_path / "upload")
    with pytest.raises(StoreFull, match="free some space"), arriving:
        arriving.write(CONTENT)
    assert arriving.size == 0


def test_a_file_that_somebody_else_has_is_not_opened(tmp_path: Path) -> None:
    with PartialFile(tmp_path / "upload") as file:
        file.write(CONTENT[:1000])
        with pytest.raises(UploadBusy):
            PartialFile(tmp_path / "upload")
    with PartialFile(tmp_path / "upload") as file:
        file.write(CONTENT[1000:])
        assert file.finish().sha256 == HASH


def test_what_is_forgotten_beyond_the_last_flush_is_not_part_of_the_hash(tmp_path: Path) -> None:
    with PartialFile(tmp_path / "upload") as file:
        file.write(CONTENT[:1000] + b"lost")
        file.cut_to(1000)
        file.write(CONTENT[1000:])
        assert file.finish().sha256 == HASH


def test_a_broken_seal_is_hashed_again(tmp_path: Path) -> None:
    with Incoming(tmp_path) as incoming:
        incoming.write(CONTENT)
        finished = incoming.finish()
        os.utime(finished.path, (1, 1))
        assert finished.verified().seal != finished.seal
        finished.path.write_bytes(CONTENT[:-1] + b"?")
        with pytest.raises(BlobCorrupt):
            finished.verified()


def test_a_file_is_hashed_in_blocks(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    assert hash_of(path) == HASH


@pytest.mark.skipif(os.name != "posix", reason="a hub runs on Linux or macOS")
def test_a_store_gets_one_identity_however_many_ask(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        identities = set(pool.map(lambda _: Store(tmp_path).establish_identity(), range(32)))
    assert len(identities) == 1
    assert identities.pop() == Store(tmp_path).identity() != ""
    assert files_below(tmp_path) == [tmp_path / "blobs" / "hub-identity"]


def test_a_download_that_gave_up_is_gone_on_with(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    first = cache.begin(HASH)
    first.path.write_bytes(CONTENT[:1000])
    cache.give_up(first)
    assert cache.begin(HASH).path.read_bytes() == CONTENT[:1000]


def test_two_downloads_of_one_blob_never_share_a_file(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    first = cache.begin(HASH)
    first.path.write_bytes(CONTENT[:1000])
    cache.give_up(first)
    with ThreadPoolExecutor(8) as pool:
        downloads = list(pool.map(lambda _: cache.begin(HASH), range(8)))
    assert len({download.path for download in downloads}) == 8
    assert sorted(download.path.stat().st_size for download in downloads) == [0] * 7 + [1000]


def test_a_copy_is_used_by_its_name_and_says_when(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    assert cache.use(HASH) is None
    download = cache.begin(HASH)
    download.path.write_bytes(CONTENT)
    path = cache.keep(download)
    os.utime(path, (1, 1))
    assert cache.use(HASH) == path
    (copy,) = cache.copies()
    assert (copy.sha256, copy.size) == (HASH, len(CONTENT))
    assert copy.last_used > 1
