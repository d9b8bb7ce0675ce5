"""Resumable uploads: what the tus protocol asks for, and what an attacker might."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import socket
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID, uuid4

import httpx
import pytest
from django.db import connections, transaction
from django.db.models.functions import Now
from django.test import Client

from clustercore.access.domain.roles import Permission
from clustercore.access.services.async_waiting import in_thread
from clustercore.blobs import services
from clustercore.blobs.adapters.files import SPARE_BYTES
from clustercore.blobs.adapters.partial import PartialFile
from clustercore.blobs.adapters.store import Store
from clustercore.blobs.domain.errors import UploadCorrupt
from clustercore.blobs.domain.reservations import RESERVED_SECONDS
from clustercore.blobs.models import Blob, Upload
from clustercore.blobs.selectors import reserved_bytes
from clustercore.blobs.services import receiving
from clustercore.blobs.services.leftovers import sweep_uploads
from clustercore.blobs.services.receiving import _upload_expiry
from clustercore.blobs.sockets import bodies, resumable
from tests.fakes.nodes.polling import until
from tests.integration.blobs.conftest import UPLOAD_LIMIT_GB, RunningHub, somebody_waits_for_a_lock
from tests.people import person, token_of

CONTENT = os.urandom(3_000_000)
HASH = hashlib.sha256(CONTENT).hexdigest()
GB = 10**9
LEFT = {"type": "http.disconnect"}
VERSION = {"Tus-Resumable": "1.0.0"}
BYTES = {"Content-Type": "application/offset+octet-stream"}


def client_of(hub: RunningHub, token: str) -> httpx.Client:
    headers = VERSION | {"Authorization": f"Bearer {token}"}
    return httpx.Client(base_url=hub.url, headers=headers, trust_env=False, timeout=20)


@pytest.fixture
def otto(hub: RunningHub) -> Iterator[httpx.Client]:
    with client_of(hub, token_of("otto")) as client:
        yield client


@pytest.fixture
def olga(hub: RunningHub) -> Iterator[httpx.Client]:
    with client_of(hub, token_of("olga")) as client:
        yield client


def begin(client: httpx.Client, size: int = len(CONTENT), name: str = "talk.flac") -> str:
    metadata = "filename " + base64.b64encode(name.encode()).decode()
    headers = {"Upload-Length": str(size), "Upload-Metadata": metadata}
    response = client.post("/api/v1/uploads", headers=headers)
    assert response.status_code == 201, response.text
    return str(response.headers["Location"])


def send(client: httpx.Client, place: str, offset: int, content: bytes) -> httpx.Response:
    return client.patch(place, headers=BYTES | {"Upload-Offset": str(offset)}, content=content)


def offset_of(client: httpx.Client, place: str) -> int:
    return int(client.head(place).headers["Upload-Offset"])


def id_in(place: str) -> UUID:
    return UUID(place.rpartition("/")[2])


def test_the_service_says_what_it_speaks_to_anybody(hub: RunningHub) -> None:
    response = httpx.options(f"{hub.url}/api/v1/uploads", trust_env=False)
    assert response.status_code == 204
    assert response.headers["Tus-Version"] == "1.0.0"
    assert response.headers["Tus-Extension"] == "creation,termination,expiration"
    assert response.headers["Tus-Max-Size"] == str(UPLOAD_LIMIT_GB * 10**9)


def test_parts_make_the_whole_and_the_whole_becomes_a_blob(hub: RunningHub, otto: httpx.Client) -> None:
    place = begin(otto)
    assert send(otto, place, 0, CONTENT[:1_000_000]).headers["Upload-Offset"] == "1000000"
    last = send(otto, place, 1_000_000, CONTENT[1_000_000:])
    assert (last.status_code, last.headers["Upload-Offset"]) == (204, str(len(CONTENT)))
    assert "GMT" in last.headers["Upload-Expires"]
    upload = Upload.objects.get(pk=id_in(place))
    assert (upload.state, upload.sha256, upload.name) == ("whole", HASH, "talk.flac")
    assert receiving.keep_upload(upload.pk) == HASH
    assert services.local_path(HASH).read_bytes() == CONTENT
    assert receiving.keep_upload(upload.pk) == HASH


def test_an_upload_whose_commit_failed_becomes_a_blob_when_it_is_asked_for_again(
    hub: RunningHub, otto: httpx.Client
) -> None:
    place = begin(otto)
    send(otto, place, 0, CONTENT)
    with pytest.raises(RuntimeError), transaction.atomic():
        receiving.keep_upload(id_in(place))
        raise RuntimeError("the commit fails")
    assert not Blob.objects.exists()
    assert receiving.keep_upload(id_in(place)) == HASH
    assert services.local_path(HASH).read_bytes() == CONTENT


def test_bytes_that_came_to_harm_after_a_failed_commit_are_not_believed(hub: RunningHub, otto: httpx.Client) -> None:
    place = begin(otto)
    send(otto, place, 0, CONTENT)
    with pytest.raises(RuntimeError), transaction.atomic():
        receiving.keep_upload(id_in(place))
        raise RuntimeError("the commit fails")
    Store(hub.data_dir).path(HASH).write_bytes(b"harm")
    with pytest.raises(UploadCorrupt, match="came to harm"):
        receiving.keep_upload(id_in(place))
    assert not Blob.objects.exists()


def test_what_came_before_the_connection_broke_needs_not_come_again(hub: RunningHub, otto: httpx.Client) -> None:
    place = begin(otto)
    token = otto.headers["Authorization"]
    with socket.create_connection(("127.0.0.1", hub.port), timeout=10) as link:
        head = f"PATCH {place} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {token}\r\nTus-Resumable: 1.0.0\r\n"
        head += f"Upload-Offset: 0\r\nContent-Type: {BYTES['Content-Type']}\r\nContent-Length: {len(CONTENT)}\r\n\r\n"
        link.sendall(head.encode() + CONTENT[:1_234_567])
        path = Store(hub.data_dir).upload_path(id_in(place))
        until(lambda: path.stat().st_size > 1_000_000, 10, "nothing came")
    here = offset_of(otto, place)
    assert 1_000_000 < here <= 1_234_567
    assert send(otto, place, here, CONTENT[here:]).status_code == 204
    assert Upload.objects.get(pk=id_in(place)).sha256 == HASH


def test_asking_how_much_came_ends_the_connection_that_still_hangs(hub: RunningHub, otto: httpx.Client) -> None:
    place = begin(otto)
    token = otto.headers["Authorization"]
    with socket.create_connection(("127.0.0.1", hub.port), timeout=10) as link:
        head = f"PATCH {place} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {token}\r\nTus-Resumable: 1.0.0\r\n"
        head += f"Upload-Offset: 0\r\nContent-Type: {BYTES['Content-Type']}\r\nContent-Length: {len(CONTENT)}\r\n\r\n"
        link.sendall(head.encode() + CONTENT[:600_000])
        path = Store(hub.data_dir).upload_path(id_in(place))
        until(lambda: path.stat().st_size >= bodies.BLOCK_BYTES, 10, "nothing came")
        came = offset_of(otto, place)
        assert bodies.BLOCK_BYTES <= came <= 600_000
        assert send(otto, place, came, CONTENT[came:]).status_code == 204
    assert Upload.objects.get(pk=id_in(place)).sha256 == HASH


def test_a_hub_that_started_anew_goes_on_where_the_file_ends(hub: RunningHub, otto: httpx.Client) -> None:
    place = begin(otto)
    Store(hub.data_dir).upload_path(id_in(place)).write_bytes(CONTENT[:700_000])
    assert offset_of(otto, place) == 700_000
    assert send(otto, place, 700_000, CONTENT[700_000:]).status_code == 204
    assert Upload.objects.get(pk=id_in(place)).sha256 == HASH


def test_a_whole_file_that_nobody_wrote_down_is_found_by_asking_for_it(hub: RunningHub, otto: httpx.Client) -> None:
    place = begin(otto)
    Store(hub.data_dir).upload_path(id_in(place)).write_bytes(CONTENT)
    assert offset_of(otto, place) == len(CONTENT)
    upload = Upload.objects.get(pk=id_in(place))
    assert (upload.state, upload.sha256) == ("whole", HASH)


def test_how_far_it_came_is_written_down_while_more_is_to_come(
    hub: RunningHub, otto: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resumable, "_NOTE_SECONDS", -1.0)
    upload = Upload.objects.get(pk=id_in(begin(otto)))
    noted: list[int] = []

    async def receive() -> Mapping[str, object]:
        noted.append(await in_thread(lambda: Upload.objects.get(pk=upload.pk).offset))
        return {"type": "http.request", "body": CONTENT[:1000], "more_body": True} if len(noted) < 3 else LEFT

    with PartialFile(Store(hub.data_dir).upload_path(upload.pk)) as file, pytest.raises(bodies.ClientLeft):
        asyncio.run(resumable._take(file, upload, bodies.Body(receive)))
    assert noted == [0, 1000, 2000]


def test_a_part_that_begins_elsewhere_is_refused_and_told_where(otto: httpx.Client) -> None:
    place = begin(otto)
    send(otto, place, 0, CONTENT[:1000])
    refused = send(otto, place, 500, CONTENT[500:])
    assert refused.status_code == 409
    assert "1000 bytes have come" in refused.json()["error"]["message"]
    assert offset_of(otto, place) == 1000


def test_more_than_was_announced_is_refused(hub: RunningHub, otto: httpx.Client) -> None:
    place = begin(otto, size=1000)
    assert send(otto, place, 0, CONTENT[:1001]).status_code == 413

    def lying() -> Iterator[bytes]:
        yield CONTENT[:600]
        yield CONTENT[600:2000]

    refused = otto.patch(place, headers=BYTES | {"Upload-Offset": "0"}, content=lying())
    assert refused.status_code == 413
    assert Store(hub.data_dir).upload_path(id_in(place)).stat().st_size <= 1000


def test_nobody_else_sees_continues_or_ends_an_upload(otto: httpx.Client, olga: httpx.Client, hub: RunningHub) -> None:
    place = begin(otto)
    assert olga.head(place).status_code == 404
    assert send(olga, place, 0, CONTENT).status_code == 404
    assert olga.delete(place).status_code == 404
    assert olga.get(place).status_code == 404
    assert olga.get("/api/v1/uploads").json() == {"results": []}
    with client_of(hub, token_of("ada")) as ada:
        assert ada.get(place).status_code == 404
    assert offset_of(otto, place) == 0


def test_an_upload_that_is_given_up_is_gone(hub: RunningHub, otto: httpx.Client) -> None:
    place = begin(otto)
    send(otto, place, 0, CONTENT[:1000])
    assert otto.delete(place).status_code == 204
    assert otto.head(place).status_code == 404
    assert hub.files() == []


@pytest.mark.parametrize(
    ("headers", "status", "said"),
    [
        ({}, 400, "Upload-Length"),
        ({"Upload-Length": "0"}, 400, "Upload-Length"),
        ({"Upload-Length": "-5"}, 400, "Upload-Length"),
        ({"Upload-Length": "1e9"}, 400, "Upload-Length"),
        ({"Upload-Length": "9", "Upload-Metadata": "filename ***"}, 400, "base64"),
        ({"Upload-Length": str(UPLOAD_LIMIT_GB * 10**9 + 1)}, 400, "Upload-Length"),
        ({"Upload-Length": "9", "Tus-Resumable": "0.2.2"}, 412, "Tus-Resumable: 1.0.0"),
    ],
)
def test_a_beginning_that_cannot_be_is_refused(
    otto: httpx.Client, headers: dict[str, str], status: int, said: str
) -> None:
    refused = otto.post("/api/v1/uploads", headers=headers)
    assert refused.status_code == status
    assert said in refused.json()["error"]["message"]
    assert refused.headers["Tus-Resumable"] == "1.0.0"


def test_what_does_not_fit_the_disk_is_refused_at_once(hub: RunningHub, otto: httpx.Client) -> None:
    refused = otto.post("/api/v1/uploads", headers={"Upload-Length": str(Store(hub.data_dir).free_bytes())})
    assert (refused.status_code, refused.json()["error"]["code"]) == (507, "disk_full")
    assert int(refused.headers["Retry-After"]) > 0


def test_what_is_kept_free_for_ones_own_uploads_is_not_promised_twice(hub: RunningHub, otto: httpx.Client) -> None:
    begin(otto, size=Store(hub.data_dir).free_bytes() - SPARE_BYTES - GB)
    refused = otto.post("/api/v1/uploads", headers={"Upload-Length": str(3 * GB)})
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "disk_reserved")
    assert "finish or delete one" in refused.json()["error"]["message"]
    assert int(refused.headers["Retry-After"]) > 0


def test_announcing_the_whole_disk_shuts_nobody_else_out(
    hub: RunningHub, otto: httpx.Client, olga: httpx.Client
) -> None:
    free = Store(hub.data_dir).free_bytes() - SPARE_BYTES
    begin(otto, size=free // 2)
    begin(otto, size=free // 2 - GB)
    place = begin(olga, size=free // 4)
    assert send(olga, place, 0, CONTENT).status_code == 204
    refused = olga.post("/api/v1/uploads", headers={"Upload-Length": str(free * 2 // 3)})
    assert (refused.status_code, refused.json()["error"]["code"]) == (507, "disk_reserved")
    assert int(refused.headers["Retry-After"]) > 0


def test_room_is_kept_only_while_bytes_come(hub: RunningHub, otto: httpx.Client, olga: httpx.Client) -> None:
    half = (Store(hub.data_dir).free_bytes() - SPARE_BYTES) // 2
    idle = id_in(begin(otto, size=half + GB))
    assert olga.post("/api/v1/uploads", headers={"Upload-Length": str(half + GB)}).status_code == 507
    Upload.objects.filter(pk=idle).update(moved=Now() - timedelta(seconds=RESERVED_SECONDS))
    begin(olga, size=half + GB)
    assert reserved_bytes() == {person("olga").pk: half + GB}


def test_bytes_that_come_keep_the_rest_of_the_room_and_no_more(hub: RunningHub, otto: httpx.Client) -> None:
    place = begin(otto)
    Upload.objects.filter(pk=id_in(place)).update(moved=Now() - timedelta(seconds=RESERVED_SECONDS))
    send(otto, place, 0, b"")
    assert reserved_bytes() == {}
    send(otto, place, 0, CONTENT[:1_000_000])
    assert reserved_bytes() == {person("otto").pk: len(CONTENT) - 1_000_000}


def test_one_person_may_have_so_many_uploads_open(
    hub: RunningHub, otto: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = person("otto")
    Upload.objects.bulk_create(
        Upload(owner=owner, name="x", size=9, created=Now(), expires=_upload_expiry()) for _ in range(100)
    )
    refused = otto.post("/api/v1/uploads", headers={"Upload-Length": "9"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too_many_uploads")
    assert int(refused.headers["Retry-After"]) > 0


def test_strangers_and_onlookers_are_refused_before_they_send(hub: RunningHub) -> None:
    headers = VERSION | {"Upload-Length": "9"}
    stranger = httpx.post(f"{hub.url}/api/v1/uploads", headers=headers, trust_env=False)
    assert (stranger.status_code, stranger.headers["WWW-Authenticate"]) == (401, 'Bearer realm="clustercore"')
    for token in (token_of("vera"), token_of("otto", Permission.VIEW)):
        with client_of(hub, token) as client:
            assert client.post("/api/v1/uploads", headers=headers).status_code == 403


def test_a_session_needs_its_csrf_token(hub: RunningHub) -> None:
    browser = Client()
    browser.force_login(person("otto"))
    cookies = {"sessionid": str(browser.session.session_key), "csrftoken": "a" * 32}
    headers = VERSION | {"Upload-Length": "9"}
    with httpx.Client(base_url=hub.url, cookies=cookies, headers=headers, trust_env=False) as client:
        assert client.post("/api/v1/uploads").json()["error"]["code"] == "csrf_failed"
        assert client.post("/api/v1/uploads", headers={"X-CSRFToken": "a" * 32}).status_code == 201


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "a\x00b", "x" * 5000, "\u202egpj.exe", "a\r\nSet-Cookie: b"]
)
def test_a_name_is_only_ever_text(hub: RunningHub, otto: httpx.Client, name: str) -> None:
    place = begin(otto, name=name)
    kept = Upload.objects.get(pk=id_in(place)).name
    assert kept.isprintable() and len(kept) <= 255
    assert [path.name for path in hub.files()] == [str(id_in(place))]


def test_an_upload_that_nobody_went_on_with_is_swept_away(hub: RunningHub, otto: httpx.Client) -> None:
    old, new = begin(otto), begin(otto)
    forgotten = Store(hub.data_dir).upload_path(uuid4())
    forgotten.write_bytes(b"left over")
    Upload.objects.filter(pk=id_in(old)).update(expires=Now())
    assert otto.head(old).status_code == 404
    services.tidy_store()
    assert [upload.pk for upload in Upload.objects.all()] == [id_in(new)]
    assert [path.name for path in hub.files()] == [str(id_in(new))]


def test_an_upload_that_somebody_goes_on_with_while_it_is_swept_stays(hub: RunningHub, otto: httpx.Client) -> None:
    upload = id_in(begin(otto))
    Upload.objects.filter(pk=upload).update(expires=Now())

    def sweep() -> None:
        try:
            sweep_uploads(Store(hub.data_dir))
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            Upload.objects.filter(pk=upload).update(expires=_upload_expiry())
            sweeping = pool.submit(sweep)
            until(somebody_waits_for_a_lock, 20)
        sweeping.result(20)
    assert Upload.objects.get().pk == upload
    assert [path.name for path in hub.files()] == [str(upload)]


def test_an_upload_can_be_read_as_json(otto: httpx.Client) -> None:
    place = begin(otto)
    send(otto, place, 0, CONTENT[:10])
    found = otto.get(place).json()
    assert (found["offset"], found["size"], found["state"]) == (10, len(CONTENT), "open")
    assert otto.get("/api/v1/uploads").json()["results"] == [found]


def test_networks_that_let_only_posts_pass_are_served_too(otto: httpx.Client) -> None:
    place = begin(otto)
    headers = BYTES | {"Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}
    assert otto.post(place, headers=headers, content=b"abc").status_code == 204
    assert offset_of(otto, place) == 3
