"""Several connections for one upload: one writes, and the bytes under the hash are those of one sender."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from django.db import connection

from clustercore.access.http.refusals import status_of
from clustercore.blobs.adapters import files
from clustercore.blobs.adapters.partial import PartialFile
from clustercore.blobs.adapters.store import Store
from clustercore.blobs.domain.errors import UploadCorrupt
from clustercore.blobs.models import Blob, Upload
from clustercore.blobs.services import receiving
from clustercore.blobs.sockets.bodies import BLOCK_BYTES
from tests.fakes.nodes.polling import until
from tests.integration.blobs.conftest import RunningHub
from tests.integration.blobs.test_resumable import BYTES, begin, client_of, id_in, offset_of, send
from tests.people import token_of

SIZE = 2_000_000
ONE, OTHER = b"1" * SIZE, b"2" * SIZE


@pytest.fixture
def otto(hub: RunningHub) -> Iterator[httpx.Client]:
    with client_of(hub, token_of("otto")) as client:
        yield client


def hanging_connection(hub: RunningHub, otto: httpx.Client, place: str, content: bytes = b"") -> socket.socket:
    """A connection whose part the hub is taking, of which only `content` comes."""
    link = socket.create_connection(("127.0.0.1", hub.port), timeout=10)
    head = f"PATCH {place} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {otto.headers['Authorization']}\r\n"
    head += f"Tus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\nContent-Type: {BYTES['Content-Type']}\r\n"
    link.sendall(f"{head}Expect: 100-continue\r\nContent-Length: {SIZE}\r\n\r\n".encode())
    # The hub says so when it begins to read.
    assert link.recv(100).startswith(b"HTTP/1.1 100 ")
    link.sendall(content)
    return link


def upload_file(hub: RunningHub, place: str) -> Path:
    return Store(hub.data_dir).upload_path(id_in(place))


def test_of_those_that_take_over_a_hanging_upload_at_once_one_writes_at_a_time(
    hub: RunningHub, otto: httpx.Client
) -> None:
    for _ in range(4):
        place = begin(otto, size=SIZE)
        with hanging_connection(hub, otto, place), ThreadPoolExecutor(2) as pool:
            answers = [pool.submit(send, otto, place, 0, content) for content in (ONE, OTHER)]
            statuses = [answer.result().status_code for answer in answers]
        content = upload_file(hub, place).read_bytes()
        assert content in (ONE[: len(content)], OTHER[: len(content)]), statuses
        assert statuses.count(204) <= 1
        upload = Upload.objects.get(pk=id_in(place))
        assert upload.sha256 == (hashlib.sha256(content).hexdigest() if 204 in statuses else "")


def test_a_hanging_connection_is_at_rest_before_the_next_one_is_told_where_to_go_on(
    hub: RunningHub, otto: httpx.Client
) -> None:
    place = begin(otto, size=SIZE)
    with hanging_connection(hub, otto, place, ONE[:700_000]):
        until(lambda: upload_file(hub, place).stat().st_size > 700_000 - BLOCK_BYTES, 30, "nothing came")
        refused = send(otto, place, 0, OTHER)
        assert (refused.status_code, "700000 bytes have come" in refused.text) == (409, True)
        assert send(otto, place, 700_000, ONE[700_000:]).status_code == 204
    assert receiving.keep_upload(id_in(place)) == hashlib.sha256(ONE).hexdigest()


def test_what_another_process_writes_to_waits_for_it(hub: RunningHub, otto: httpx.Client) -> None:
    place = begin(otto, size=SIZE)
    with PartialFile(upload_file(hub, place)) as elsewhere:
        elsewhere.write(ONE[:1000])
        refused = send(otto, place, 0, OTHER)
        assert (refused.status_code, refused.json()["error"]["code"]) == (423, "upload_busy")
        assert int(refused.headers["Retry-After"]) > 0
        assert otto.head(place).status_code == 423
    assert offset_of(otto, place) == 1000
    assert send(otto, place, 1000, ONE[1000:]).status_code == 204
    assert receiving.keep_upload(id_in(place)) == hashlib.sha256(ONE).hexdigest()


def test_after_a_power_cut_only_what_was_flushed_counts(hub: RunningHub, otto: httpx.Client) -> None:
    place = begin(otto, size=SIZE)
    send(otto, place, 0, ONE[:1_000_000])
    with upload_file(hub, place).open("ab") as file:
        file.write(b"\0" * 300_000)
    Upload.objects.filter(pk=id_in(place)).update(seal="another-start 1 1300000 1")
    assert offset_of(otto, place) == 1_000_000
    assert send(otto, place, 1_000_000, ONE[1_000_000:]).status_code == 204
    assert receiving.keep_upload(id_in(place)) == hashlib.sha256(ONE).hexdigest()


def test_the_hash_of_bytes_that_somebody_else_changed_is_not_believed(hub: RunningHub, otto: httpx.Client) -> None:
    place = begin(otto, size=SIZE)
    send(otto, place, 0, ONE[:1_000_000])
    with upload_file(hub, place).open("rb+") as file:
        file.write(b"2")
    send(otto, place, 1_000_000, ONE[1_000_000:])
    assert Upload.objects.get(pk=id_in(place)).sha256 == hashlib.sha256(b"2" + ONE[1:]).hexdigest()


def test_what_changed_after_it_was_hashed_becomes_no_blob(hub: RunningHub, otto: httpx.Client) -> None:
    place = begin(otto, size=SIZE)
    send(otto, place, 0, ONE)
    with upload_file(hub, place).open("rb+") as file:
        file.write(b"2")
    with pytest.raises(UploadCorrupt, match="send the file again") as refused:
        receiving.keep_upload(id_in(place))
    assert (status_of(refused.value), refused.value.code) == (409, "upload_corrupt")
    assert not Blob.objects.exists()


def test_a_whole_upload_is_hashed_again_in_no_transaction(
    hub: RunningHub, otto: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = begin(otto, size=SIZE)
    send(otto, place, 0, ONE)
    Upload.objects.filter(pk=id_in(place)).update(seal="another-start 1 2000000 1")
    in_transaction: list[bool] = []

    def hash_of(path: Path) -> str:
        in_transaction.append(connection.in_atomic_block)
        return hashlib.sha256(path.read_bytes()).hexdigest()

    monkeypatch.setattr(files, "hash_of", hash_of)
    assert receiving.keep_upload(id_in(place)) == hashlib.sha256(ONE).hexdigest()
    assert in_transaction == [False]
