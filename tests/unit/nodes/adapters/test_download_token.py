"""A token for downloads goes to the host that the catalogue names, and to nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from clustercore.nodes.adapters.model_sources import HUB, Fetching
from clustercore.nodes.adapters.model_store import pull
from clustercore.nodes.domain import model_catalogue
from clustercore.nodes.domain.model_catalogue import CATALOGUE, ModelStoreError
from tests.fakes.nodes.model_server import ServedFiles, model_server

pytest.importorskip("huggingface_hub", reason="huggingface_hub comes with faster-whisper, which is not installed")

from huggingface_hub import constants

SMALL = "faster-whisper:small"
ROOT = urlsplit(CATALOGUE[SMALL].url).path + "/"
TOKEN = "hf_onlyTheCataloguesHostMayReadThis"
CONTENT = {name: name.encode() * 20 for name in CATALOGUE[SMALL].files}
PINNED = {name: sha256(content).hexdigest() for name, content in CONTENT.items()}


def serving() -> ServedFiles:
    files = {ROOT + name: content for name, content in CONTENT.items()}
    return ServedFiles(files, headers={"X-Repo-Commit": CATALOGUE[SMALL].revision})


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServedFiles]:
    """A hub of models that is the host that the catalogue names."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with model_server(serving()) as served:
        here = replace(CATALOGUE[SMALL], url=served.url + ROOT.rstrip("/"), sha256=PINNED, packages=())
        monkeypatch.setattr(model_catalogue, "CATALOGUE", {SMALL: here})
        ask(served, monkeypatch)
        yield served


@pytest.fixture
def elsewhere() -> Iterator[ServedFiles]:
    """Another host; what differs is its port."""
    with model_server(serving()) as served:
        yield served


def ask(served: ServedFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    """As HF_ENDPOINT does, which is read when the client is imported."""
    monkeypatch.setattr(constants, "ENDPOINT", served.url)
    template = served.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


def files_asked(served: ServedFiles) -> list[dict[str, str]]:
    """The headers of each request for a file; whether the host is there, the client asks without any."""
    asked = zip(served.requests, served.headers_seen, strict=True)
    return [headers for (path, _), headers in asked if path.endswith(tuple(CONTENT))]


def tokens_seen(served: ServedFiles) -> set[str | None]:
    """The Authorization headers that a server got; no header may carry the token in another way."""
    for headers in served.headers_seen:
        assert [name for name, value in headers.items() if TOKEN in value] in ([], ["authorization"])
    return {headers.get("authorization") for headers in files_asked(served)}


def test_the_catalogues_host_is_told_the_token(tmp_path: Path, host: ServedFiles) -> None:
    pull(SMALL, tmp_path, 1.0, fetching=Fetching(token=TOKEN))
    assert tokens_seen(host) == {f"Bearer {TOKEN}"}


def test_without_a_token_nothing_is_told(tmp_path: Path, host: ServedFiles) -> None:
    pull(SMALL, tmp_path, 1.0)
    assert tokens_seen(host) == {None}


def test_a_redirect_to_another_host_is_followed_without_the_token(
    tmp_path: Path, host: ServedFiles, elsewhere: ServedFiles
) -> None:
    host.redirects = {ROOT + name: elsewhere.url + ROOT + name for name in CONTENT}
    pulled = pull(SMALL, tmp_path, 1.0, fetching=Fetching(token=TOKEN))
    assert (pulled.folder / "config.json").read_bytes() == CONTENT["config.json"]
    assert tokens_seen(host) == {f"Bearer {TOKEN}"}
    assert files_asked(elsewhere)
    assert tokens_seen(elsewhere) == {None}


def test_another_name_of_the_same_machine_is_another_host(
    tmp_path: Path, host: ServedFiles, elsewhere: ServedFiles
) -> None:
    port = urlsplit(elsewhere.url).port
    host.redirects = {ROOT + name: f"http://localhost:{port}{ROOT}{name}" for name in CONTENT}
    pull(SMALL, tmp_path, 1.0, fetching=Fetching(token=TOKEN))
    assert tokens_seen(elsewhere) == {None}


def test_a_token_that_was_left_behind_does_not_come_back_with_the_next_redirect(
    tmp_path: Path, host: ServedFiles, elsewhere: ServedFiles
) -> None:
    host.redirects = {ROOT + name: f"{elsewhere.url}/there/{name}" for name in CONTENT}
    elsewhere.redirects = {f"/there/{name}": f"{elsewhere.url}{ROOT}{name}" for name in CONTENT}
    pull(SMALL, tmp_path, 1.0, fetching=Fetching(token=TOKEN))
    assert len(files_asked(elsewhere)) >= 2 * len(CONTENT)
    assert tokens_seen(elsewhere) == {None}


def test_a_continued_download_leaves_it_behind_too(
    tmp_path: Path, host: ServedFiles, elsewhere: ServedFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 10)
    elsewhere.break_off_after = 100
    host.redirects = {ROOT + name: elsewhere.url + ROOT + name for name in CONTENT}
    pull(SMALL, tmp_path, 1.0, fetching=Fetching(token=TOKEN))
    assert (ROOT + "model.bin", "bytes=100-") in elsewhere.requests
    assert tokens_seen(elsewhere) == {None}


@pytest.mark.parametrize("as_endpoint", [True, False])
def test_a_mirror_is_not_told_the_token(
    tmp_path: Path, host: ServedFiles, elsewhere: ServedFiles, monkeypatch: pytest.MonkeyPatch, as_endpoint: bool
) -> None:
    if as_endpoint:
        ask(elsewhere, monkeypatch)
    base_url = None if as_endpoint else elsewhere.url
    pull(SMALL, tmp_path, 1.0, fetching=Fetching(base_url=base_url, token=TOKEN))
    assert host.requests == []
    assert tokens_seen(elsewhere) == {None}


@pytest.mark.parametrize("status", [401, 403])
def test_only_a_host_that_takes_the_token_is_said_to_ask_for_it(
    tmp_path: Path, host: ServedFiles, elsewhere: ServedFiles, status: int
) -> None:
    host.refuse_with = elsewhere.refuse_with = status
    with pytest.raises(ModelStoreError, match="clustercore secrets set"):
        pull(SMALL, tmp_path, 1.0)
    with pytest.raises(ModelStoreError) as caught:
        pull(SMALL, tmp_path, 1.0, fetching=Fetching(base_url=elsewhere.url))
    assert str(status) in caught.value.message
    assert "secrets set" not in caught.value.message


def test_a_host_that_knows_nobody_by_a_token_is_told_none() -> None:
    takers = [entry for entry in CATALOGUE.values() if entry.takes_token]
    assert {urlsplit(entry.url).netloc for entry in takers} == {"huggingface.co"}
    assert all(entry.repository for entry in takers), "only the client of the hub of models sends one"


def test_nothing_of_the_catalogue_goes_unencrypted() -> None:
    assert {urlsplit(address).scheme for entry in CATALOGUE.values() for address in entry.downloads.values()} == {
        "https"
    }


def test_a_redirect_from_tls_to_plain_http_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        asked.append((request.url.scheme, request.headers.get("authorization")))
        if request.url.scheme == "https":
            return httpx.Response(302, headers={"Location": f"http://{request.url.host}{request.url.path}"})
        return httpx.Response(200, content=b"{}")

    asked: list[tuple[str, str | None]] = []
    monkeypatch.setattr(model_catalogue, "CATALOGUE", {SMALL: replace(CATALOGUE[SMALL], repository="")})
    with httpx.Client(transport=httpx.MockTransport(answer)) as client:

        def stream(*words: str, trust_env: bool, **options: Any) -> AbstractContextManager[httpx.Response]:
            return client.stream(*words, **options)

        monkeypatch.setattr(httpx, "stream", stream)
        with pytest.raises(ModelStoreError, match="not encrypted"):
            pull(SMALL, tmp_path, 1.0, fetching=Fetching(origin=HUB, token=TOKEN))
    assert asked == [("https", None), ("http", None)]


def test_a_refusal_says_how_to_give_a_token_and_does_not_repeat_it(tmp_path: Path, host: ServedFiles) -> None:
    host.refuse_with = 401
    with pytest.raises(ModelStoreError) as caught:
        pull(SMALL, tmp_path, 1.0, fetching=Fetching(token=TOKEN))
    assert "clustercore secrets set model-download-token" in caught.value.message
    assert TOKEN not in caught.value.message
