"""The hub hashes what it serves, once a file and start of the machine, and serves no damaged bytes to anybody."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import psutil
import pytest
from django.db.models.functions import Now

from clustercore.blobs import services
from clustercore.blobs.adapters.store import Store
from clustercore.blobs.domain.errors import BlobMissing
from clustercore.blobs.models import Blob
from clustercore.blobs.services import receiving
from tests.integration.blobs.conftest import RunningHub
from tests.integration.blobs.test_resumable import begin, client_of, id_in, send
from tests.people import token_of

CONTENT = os.urandom(3_000_000)
HASH = hashlib.sha256(CONTENT).hexdigest()
Sign = Callable[[str, str], str]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "recording"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def stored(hub: RunningHub, source: Path) -> Path:
    """The file of a blob in the hub's store."""
    return hub.data_dir / "blobs" / HASH[:2] / HASH[2:4] / services.store_file(source)


def damage(stored: Path) -> None:
    """Other bytes, as a disk loses them in a power cut: nothing about the file says so."""
    before = stored.stat()
    stored.write_bytes(b"\0" * len(CONTENT))
    os.utime(stored, ns=(before.st_atime_ns, before.st_mtime_ns))
    start_the_machine_again()


def start_the_machine_again() -> None:
    for blob in Blob.objects.all():
        blob.seal = f"{uuid4()} {blob.seal.partition(' ')[2]}"
        blob.save()


def bytes_read_by(work: Callable[[], object]) -> int:
    process = psutil.Process()
    before = process.io_counters().read_chars
    work()
    return int(process.io_counters().read_chars - before)


def test_damaged_bytes_are_set_aside_and_what_to_do_is_said(hub: RunningHub, stored: Path) -> None:
    damage(stored)
    for _ in range(2):
        with pytest.raises(BlobMissing, match="damaged on the hub's disk and have been set aside: submit"):
            services.local_path(HASH)
    assert [path.parent.name for path in hub.files()] == ["quarantine"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_nobody_else_is_served_damaged_bytes_either(hub: RunningHub, stored: Path, signed: Sign, method: str) -> None:
    damage(stored)
    response = httpx.request(method, hub.url + signed(method, HASH), trust_env=False, timeout=20)
    assert response.status_code == 404
    assert method == "HEAD" or "submit the recording again" in response.text


def test_bytes_that_were_damaged_come_back_by_being_stored_again(hub: RunningHub, stored: Path, source: Path) -> None:
    damage(stored)
    with pytest.raises(BlobMissing):
        services.local_path(HASH)
    services.store_file(source)
    assert services.local_path(HASH).read_bytes() == CONTENT


@pytest.mark.parametrize("way", ["path", "signed", "resumable"])
def test_honest_bytes_take_the_place_of_damaged_ones(
    hub: RunningHub, stored: Path, source: Path, signed: Sign, way: str
) -> None:
    damage(stored)
    if way == "path":
        services.store_file(source)
    elif way == "signed":
        assert httpx.put(hub.url + signed("PUT", HASH), content=CONTENT, trust_env=False).status_code == 201
    else:
        with client_of(hub, token_of("otto")) as otto:
            place = begin(otto, size=len(CONTENT))
            send(otto, place, 0, CONTENT)
        receiving.keep_upload(id_in(place))
    assert services.local_path(HASH).read_bytes() == CONTENT


def test_a_file_is_read_once_to_be_verified_and_again_only_after_the_machine_started(stored: Path) -> None:
    assert bytes_read_by(lambda: services.local_path(HASH)) < len(CONTENT)
    start_the_machine_again()
    assert bytes_read_by(lambda: services.local_path(HASH)) >= len(CONTENT)
    assert bytes_read_by(lambda: services.local_path(HASH)) < len(CONTENT)


def test_blobs_of_before_there_were_seals_are_verified_when_they_are_wanted(stored: Path) -> None:
    Blob.objects.update(seal="")
    assert services.local_path(HASH) == stored
    assert Store(stored.parents[3]).holds(HASH, Blob.objects.get().seal)


def test_what_was_set_aside_goes_with_its_blob(hub: RunningHub, stored: Path) -> None:
    damage(stored)
    with pytest.raises(BlobMissing):
        services.local_path(HASH)
    Blob.objects.update(stamped=Now() - timedelta(days=1))
    services.delete_unreferenced([HASH], lambda _hashes: ())
    assert hub.files() == []
