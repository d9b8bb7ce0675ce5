"""The hub of models by its own client: the user's cache, a server that answers, and one that does not."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from clustercore.nodes.adapters.model_sources import HUB, Fetching
from clustercore.nodes.adapters.model_store import pull
from clustercore.nodes.domain import model_catalogue
from clustercore.nodes.domain.model_catalogue import CATALOGUE, ModelStoreError
from tests.fakes.nodes.model_server import ServedFiles, model_server

pytest.importorskip("huggingface_hub", reason="huggingface_hub comes with faster-whisper, which is not installed")

from huggingface_hub import constants

SMALL = "faster-whisper:small"
CONTENT = {"config.json": b"{}", "model.bin": bytes(range(256)) * 400, "tokenizer.json": b"[]", "vocabulary.txt": b"a"}
PINNED = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENT.items()}
ENTRY = replace(CATALOGUE[SMALL], sha256=PINNED, packages=())


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache of the hub of models, empty."""
    folder = tmp_path / "cache"
    monkeypatch.setattr(model_catalogue, "CATALOGUE", {SMALL: ENTRY})
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    return folder


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> str:
    """A hub of models where nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
    monkeypatch.setattr(constants, "ENDPOINT", f"http://{address}")
    return address


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[ServedFiles]:
    """A hub of models in the place that HF_ENDPOINT names."""
    root = f"/{ENTRY.repository}/resolve/{ENTRY.revision}/"
    served = ServedFiles({root + name: content for name, content in CONTENT.items()})
    served.headers["X-Repo-Commit"] = ENTRY.revision
    with model_server(served):
        monkeypatch.setattr(constants, "ENDPOINT", served.url)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", served.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        yield served


def put_into_cache(cache: Path, content: dict[str, bytes], revision: str = ENTRY.revision) -> None:
    repository = cache / f"models--{ENTRY.repository.replace('/', '--')}"
    folder = repository / "snapshots" / revision
    folder.mkdir(parents=True)
    (repository / "refs").mkdir(exist_ok=True)
    (repository / "refs" / "main").write_text(revision)
    for name, data in content.items():
        (folder / name).write_bytes(data)


def test_what_lies_in_the_users_cache_is_taken_from_there(tmp_path: Path, cache: Path, away: str) -> None:
    put_into_cache(cache, CONTENT)
    pulled = pull(SMALL, tmp_path / "models", 1.0, fetching=Fetching(origin=HUB))
    assert {name: (pulled.folder / name).read_bytes() for name in CONTENT} == CONTENT
    assert set(pulled.verified.values()) == {"catalogue"}


def test_another_revision_of_the_cache_with_the_same_bytes_is_taken_too(tmp_path: Path, cache: Path, away: str) -> None:
    put_into_cache(cache, CONTENT, revision="f" * 40)
    assert pull(SMALL, tmp_path / "models", 1.0, fetching=Fetching(origin=HUB)).folder.is_dir()


def test_other_bytes_in_the_cache_are_not_taken(tmp_path: Path, cache: Path, away: str) -> None:
    put_into_cache(cache, {**CONTENT, "model.bin": b"broken"})
    with pytest.raises(ModelStoreError) as caught:
        pull(SMALL, tmp_path / "models", 1.0, fetching=Fetching(origin=HUB))
    assert caught.value.code == "no_connection"


def test_a_hub_of_models_that_does_not_answer_is_given_up_at_once(tmp_path: Path, away: str) -> None:
    with pytest.raises(ModelStoreError) as caught:
        pull(SMALL, tmp_path / "models", 1.0, fetching=Fetching(origin=HUB))
    assert caught.value.code == "no_connection"
    assert f"{away} cannot be reached" in caught.value.message
    assert "--from FOLDER" in caught.value.message


def test_a_model_is_fetched_from_where_the_users_settings_say_and_progress_is_told(
    tmp_path: Path, mirror: ServedFiles
) -> None:
    seen: list[tuple[str, int, int | None]] = []
    fetching = Fetching(origin=HUB, progress=lambda *step: seen.append(step), token="hf_secret")
    pulled = pull(SMALL, tmp_path / "models", 1.0, fetching=fetching)
    assert (pulled.folder / "model.bin").read_bytes() == CONTENT["model.bin"]
    assert ("model.bin", 102_400, 102_400) in seen
    # A mirror is not the catalogue's host, which alone may know the cluster's secret.
    assert not [headers for headers in mirror.headers_seen if "hf_secret" in str(headers)]


def test_a_refusal_names_the_file(tmp_path: Path, mirror: ServedFiles) -> None:
    mirror.refuse_with = 404
    with pytest.raises(ModelStoreError) as caught:
        pull(SMALL, tmp_path / "models", 1.0, fetching=Fetching(origin=HUB))
    assert caught.value.code == "download_refused"
    assert "config.json" in caught.value.message
