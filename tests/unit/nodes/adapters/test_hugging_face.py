"""The hub of models by its own client: the user's cache, a server that answers, and one that does not."""

from __future__ import annotations

import errno
import hashlib
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from clustercore.nodes.adapters import model_sources
from clustercore.nodes.adapters.model_sources import HUB, Fetching
from clustercore.nodes.adapters.model_store import list_models, pull
from clustercore.nodes.domain import model_catalogue
from clustercore.nodes.domain.model_catalogue import CATALOGUE, ModelStoreError
from tests.fakes.nodes.model_server import ServedFiles, model_server

pytest.importorskip("huggingface_hub", reason="huggingface_hub comes with faster-whisper, which is not installed")

from huggingface_hub import constants, file_download

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


def partial(models: Path) -> Path:
    return models / "faster-whisper" / ".partial" / "small"


def failure_of(models: Path) -> ModelStoreError:
    with pytest.raises(ModelStoreError) as caught:
        pull(SMALL, models, 1.0, fetching=Fetching(origin=HUB))
    assert list_models(models) == []
    return caught.value


def test_what_is_fetched_lies_in_the_store_alone(tmp_path: Path, cache: Path, mirror: ServedFiles) -> None:
    pulled = pull(SMALL, tmp_path / "models", 1.0, fetching=Fetching(origin=HUB))
    assert {path.name for path in pulled.folder.rglob("*")} == {*CONTENT, "checksums.json"}
    assert not list(cache.rglob("model.bin"))
    assert not partial(tmp_path / "models").exists()


def test_wrong_bytes_of_the_users_cache_are_fetched_anew(tmp_path: Path, cache: Path, mirror: ServedFiles) -> None:
    put_into_cache(cache, {**CONTENT, "model.bin": b"broken"})
    pulled = pull(SMALL, tmp_path / "models", 1.0, fetching=Fetching(origin=HUB))
    assert (pulled.folder / "model.bin").read_bytes() == CONTENT["model.bin"]
    assert {path for path, _ in mirror.requests if path.endswith(tuple(CONTENT))} == {
        f"/{ENTRY.repository}/resolve/{ENTRY.revision}/model.bin"
    }


def test_of_a_pull_that_broke_off_the_whole_files_are_kept_and_not_asked_for_again(
    tmp_path: Path, mirror: ServedFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    mirror.break_off_after = 1_000
    failure = failure_of(tmp_path)
    assert failure.code == "download_interrupted"
    assert "the files that came whole are kept" in failure.message
    mirror.break_off_after = None
    mirror.requests.clear()
    assert pull(SMALL, tmp_path, 1.0, fetching=Fetching(origin=HUB)).folder.is_dir()
    assert not [path for path, _ in mirror.requests if path.endswith("config.json")]


def test_a_connection_that_breaks_off_is_continued_within_the_pull(
    tmp_path: Path, mirror: ServedFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 10_000)
    mirror.break_off_after = 60_000
    pulled = pull(SMALL, tmp_path, 1.0, fetching=Fetching(origin=HUB))
    assert (pulled.folder / "model.bin").read_bytes() == CONTENT["model.bin"]
    assert [wanted for path, wanted in mirror.requests if path.endswith("model.bin") and wanted] == ["bytes=60000-"]


def test_bytes_that_are_not_the_catalogues_are_put_aside(tmp_path: Path, mirror: ServedFiles) -> None:
    name = f"/{ENTRY.repository}/resolve/{ENTRY.revision}/model.bin"
    mirror.files[name] = bytes(102_400)
    failure = failure_of(tmp_path)
    assert failure.code == "model_corrupt"
    assert (tmp_path / "faster-whisper" / ".quarantine" / "small" / "model.bin").is_file()
    mirror.files[name] = CONTENT["model.bin"]
    assert pull(SMALL, tmp_path, 1.0, fetching=Fetching(origin=HUB)).folder.is_dir()


FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("error", [FULL, RuntimeError(f"I/O error: {FULL}")])
def test_a_full_disk_is_said_to_be_full(
    tmp_path: Path, mirror: ServedFiles, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def full(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(file_download, "http_get", full)
    failure = failure_of(tmp_path)
    assert failure.code == "disk_full"
    assert "no disk space left" in failure.message


def test_what_another_source_began_is_not_taken_for_the_file(tmp_path: Path, mirror: ServedFiles) -> None:
    partial(tmp_path).mkdir(parents=True)
    (partial(tmp_path) / "model.bin").write_bytes(CONTENT["model.bin"][:5_000])
    pulled = pull(SMALL, tmp_path, 1.0, fetching=Fetching(origin=HUB))
    assert (pulled.folder / "model.bin").read_bytes() == CONTENT["model.bin"]


def test_a_pull_that_is_to_end_ends_with_what_ended_it(tmp_path: Path, mirror: ServedFiles) -> None:
    class Stopped(Exception):
        """The node stops."""

    def stop(name: str, done: int, total: int | None) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        pull(SMALL, tmp_path, 1.0, fetching=Fetching(origin=HUB, progress=stop))


def test_without_the_client_the_failure_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_sources, "find_spec", lambda _: None)
    failure = failure_of(tmp_path)
    assert failure.code == "client_missing"
    assert "clustercore[faster-whisper]" in failure.message
    assert "--from FOLDER" in failure.message
