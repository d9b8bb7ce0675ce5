from __future__ import annotations

import hashlib
import io
import json
import os
import socket
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from clustercore.nodes.adapters.model_sources import Fetching
from clustercore.nodes.adapters.model_store import list_models, pull, remove
from clustercore.nodes.domain import model_catalogue
from clustercore.nodes.domain.model_catalogue import CATALOGUE, ModelStoreError
from tests.fakes.nodes.model_server import ServedFiles, model_server

SMALL = "faster-whisper:small"
ROOT = urlsplit(CATALOGUE[SMALL].url).path + "/"
CONTENT = {
    "config.json": b"{}",
    "model.bin": os.urandom(200_000),
    "tokenizer.json": b"{}",
    "vocabulary.txt": b"a\nb\n",
}


@pytest.fixture(autouse=True)
def nothing_is_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    """What these tests serve are not the real models; what is pinned is the business of test_pinned_models."""
    entries = {label: replace(entry, sha256={}) for label, entry in CATALOGUE.items()}
    monkeypatch.setattr(model_catalogue, "CATALOGUE", entries)


@pytest.fixture
def server() -> Iterator[ServedFiles]:
    with model_server(ServedFiles({ROOT + name: content for name, content in CONTENT.items()})) as served:
        yield served


def failure_of(label: str, models: Path, *, budget_gb: float = 1.0, **options: str) -> ModelStoreError:
    with pytest.raises(ModelStoreError) as caught:
        fetching = Fetching(base_url=options.get("base_url"))
        pull(label, models, budget_gb, source=options.get("source"), fetching=fetching)
    return caught.value


def quarantined(models: Path, engine: str = "faster-whisper", model: str = "small") -> Path:
    return models / engine / ".quarantine" / model


def test_a_pulled_model_lies_whole_in_its_folder_with_its_checksums(tmp_path: Path, server: ServedFiles) -> None:
    pulled = pull(SMALL, tmp_path, 1.0, fetching=Fetching(base_url=server.url))
    assert pulled.folder == tmp_path / "faster-whisper" / "small"
    assert {name: (pulled.folder / name).read_bytes() for name in CONTENT} == CONTENT
    record = json.loads((pulled.folder / "checksums.json").read_text())
    assert record["files"]["model.bin"]["sha256"] == hashlib.sha256(CONTENT["model.bin"]).hexdigest()
    assert set(pulled.verified.values()) == {"server"}
    assert not list(tmp_path.rglob("*.etag"))


def test_progress_tells_the_bytes_of_each_file(tmp_path: Path, server: ServedFiles) -> None:
    seen: list[tuple[str, int, int | None]] = []
    pull(SMALL, tmp_path, 1.0, fetching=Fetching(base_url=server.url, progress=lambda *step: seen.append(step)))
    assert ("model.bin", 200_000, 200_000) in seen


def test_a_connection_that_breaks_off_is_continued_where_it_broke(tmp_path: Path, server: ServedFiles) -> None:
    server.break_off_after = 90_000
    pulled = pull(SMALL, tmp_path, 1.0, fetching=Fetching(base_url=server.url))
    assert (pulled.folder / "model.bin").read_bytes() == CONTENT["model.bin"]
    ranges = [wanted for path, wanted in server.requests if path.endswith("model.bin")]
    assert ranges == [None, "bytes=90000-", "bytes=180000-"]


def test_a_download_given_up_is_continued_by_the_next_one(tmp_path: Path, server: ServedFiles) -> None:
    server.break_off_after = 20_000
    failure = failure_of(SMALL, tmp_path, base_url=server.url)
    assert failure.code == "download_interrupted"
    assert "type the same again" in failure.message
    assert list_models(tmp_path) == []
    server.break_off_after = None
    server.requests.clear()
    pulled = pull(SMALL, tmp_path, 1.0, fetching=Fetching(base_url=server.url))
    assert (pulled.folder / "model.bin").read_bytes() == CONTENT["model.bin"]
    assert (ROOT + "model.bin", "bytes=80000-") in server.requests


def test_a_file_that_changed_on_the_server_is_fetched_anew_and_not_patched(tmp_path: Path, server: ServedFiles) -> None:
    server.break_off_after = 20_000
    failure_of(SMALL, tmp_path, base_url=server.url)
    server.break_off_after = None
    server.files[ROOT + "model.bin"] = changed = os.urandom(200_000)
    pulled = pull(SMALL, tmp_path, 1.0, fetching=Fetching(base_url=server.url))
    assert (pulled.folder / "model.bin").read_bytes() == changed


def test_a_file_that_is_not_what_its_checksum_says_is_quarantined(tmp_path: Path, server: ServedFiles) -> None:
    server.tags[ROOT + "model.bin"] = "0" * 64
    assert failure_of(SMALL, tmp_path, base_url=server.url).code == "model_corrupt"
    assert quarantined(tmp_path).is_dir()
    assert list_models(tmp_path) == []


def test_after_quarantine_the_next_pull_begins_anew(tmp_path: Path, server: ServedFiles) -> None:
    server.tags[ROOT + "model.bin"] = "0" * 64
    failure_of(SMALL, tmp_path, base_url=server.url)
    server.tags.clear()
    assert pull(SMALL, tmp_path, 1.0, fetching=Fetching(base_url=server.url)).folder.is_dir()


def test_a_failed_pull_leaves_the_model_that_is_there_untouched(tmp_path: Path, server: ServedFiles) -> None:
    pull(SMALL, tmp_path, 1.0, fetching=Fetching(base_url=server.url))
    server.tags[ROOT + "model.bin"] = "0" * 64
    failure_of(SMALL, tmp_path, base_url=server.url)
    assert [model.state for model in list_models(tmp_path, verify=True)] == ["verified"]


@pytest.mark.parametrize("tag", ["5f-1a2b", "f" * 40])
def test_a_tag_that_is_no_checksum_is_said_to_have_verified_nothing(
    tmp_path: Path, server: ServedFiles, tag: str
) -> None:
    server.tags[ROOT + "config.json"] = tag
    assert pull(SMALL, tmp_path, 1.0, fetching=Fetching(base_url=server.url)).verified["config.json"] == "nothing"


def test_what_another_source_left_in_the_partial_folder_becomes_no_part_of_the_model(
    tmp_path: Path, server: ServedFiles
) -> None:
    left = tmp_path / "faster-whisper" / ".partial" / "small"
    (left / "deep").mkdir(parents=True)
    for name in ("preprocessor_config.json", "deep/code.bin", "deep/code.bin.etag"):
        (left / name).write_bytes(b"of somebody else")
    pulled = pull(SMALL, tmp_path, 1.0, fetching=Fetching(base_url=server.url))
    assert {path.name for path in pulled.folder.rglob("*") if path.is_file()} == {*CONTENT, "checksums.json"}
    record = json.loads((pulled.folder / "checksums.json").read_text())
    assert set(record["files"]) == set(record["verified_against"]) == set(CONTENT)


def test_a_file_that_comes_by_the_way_and_was_compared_with_nothing_is_refused(
    tmp_path: Path, server: ServedFiles
) -> None:
    def slip_in(name: str, done: int, total: int | None) -> None:
        (tmp_path / "faster-whisper" / ".partial" / "small" / "vocabulary.json").write_bytes(b"[]")

    with pytest.raises(ModelStoreError, match=r"vocabulary\.json") as caught:
        pull(SMALL, tmp_path, 1.0, fetching=Fetching(base_url=server.url, progress=slip_in))
    assert caught.value.code == "model_corrupt"
    assert list_models(tmp_path) == []


def test_while_a_model_is_brought_another_process_neither_brings_nor_removes_it(
    tmp_path: Path, server: ServedFiles
) -> None:
    refused: list[str] = []

    def meanwhile(name: str, done: int, total: int | None) -> None:
        for attempt in (
            lambda: pull(SMALL, tmp_path, 1.0, fetching=Fetching(base_url=server.url)),
            lambda: pull(SMALL, tmp_path, 1.0, source=str(tmp_path)),
            lambda: remove(SMALL, tmp_path),
        ):
            with pytest.raises(ModelStoreError, match="another process of this machine") as caught:
                attempt()
            refused.append(caught.value.code)

    pulled = pull(SMALL, tmp_path, 1.0, fetching=Fetching(base_url=server.url, progress=meanwhile))
    assert set(refused) == {"pull_running"}
    assert {name: (pulled.folder / name).read_bytes() for name in CONTENT} == CONTENT
    assert remove(SMALL, tmp_path) > 0


def test_a_missing_file_on_the_server_is_a_refusal_that_names_it(tmp_path: Path, server: ServedFiles) -> None:
    del server.files[ROOT + "vocabulary.txt"]
    failure = failure_of(SMALL, tmp_path, base_url=server.url)
    assert failure.code == "download_refused"
    assert "404" in failure.message
    assert "vocabulary.txt" in failure.message


def test_without_a_connection_the_failure_says_what_to_fetch_and_where_to_put_it(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        failure = failure_of(SMALL, tmp_path, base_url=f"http://{address}")
    assert failure.code == "no_connection"
    for part in (address, "model.bin", "huggingface.co", "--from FOLDER", str(tmp_path / "faster-whisper" / "small")):
        assert part in failure.message


def test_a_model_over_the_budget_is_refused_and_the_biggest_ones_are_named(tmp_path: Path) -> None:
    big = tmp_path / "vosk" / "de-small"
    big.mkdir(parents=True)
    (big / "final.mdl").write_bytes(bytes(3_000_000))
    failure = failure_of(SMALL, tmp_path, budget_gb=0.4)
    assert failure.code == "budget_exceeded"
    assert "clustercore models rm vosk:de-small" in failure.message
    assert "CLUSTERCORE_MODELS_BUDGET_GB" in failure.message


def test_what_was_quarantined_counts_against_the_budget(tmp_path: Path) -> None:
    quarantined(tmp_path).mkdir(parents=True)
    (quarantined(tmp_path) / "model.bin").write_bytes(bytes(3_000_000))
    assert failure_of("faster-whisper:tiny", tmp_path, budget_gb=0.08).code == "budget_exceeded"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may change everything")
def test_a_model_that_cannot_be_changed_is_said_to_be_in_use(tmp_path: Path, server: ServedFiles) -> None:
    pull(SMALL, tmp_path, 1.0, fetching=Fetching(base_url=server.url))
    (tmp_path / "faster-whisper" / "small").chmod(0o500)
    with pytest.raises(ModelStoreError) as caught:
        remove(SMALL, tmp_path)
    assert caught.value.code == "model_in_use"


def vosk_zip(content: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return packed.getvalue()


def test_an_archive_is_unpacked_and_its_files_are_recorded(tmp_path: Path) -> None:
    packed = vosk_zip({"vosk-model-small-en-us-0.15/am/final.mdl": b"m", "vosk-model-small-en-us-0.15/conf/c": b"c"})
    with model_server(ServedFiles({"/vosk/models/vosk-model-small-en-us-0.15.zip": packed})) as server:
        pulled = pull("vosk:en-small", tmp_path, 1.0, fetching=Fetching(base_url=server.url))
    assert (pulled.folder / "am" / "final.mdl").read_bytes() == b"m"
    assert not list(tmp_path.rglob("*.zip"))
    assert list_models(tmp_path, verify=True)[0].state == "verified"


def test_an_archive_that_names_places_outside_is_quarantined(tmp_path: Path) -> None:
    packed = vosk_zip({"a/ok": b"m", "../../../evil": b"c"})
    with model_server(ServedFiles({"/vosk/models/vosk-model-small-en-us-0.15.zip": packed})) as server:
        assert failure_of("vosk:en-small", tmp_path / "models", base_url=server.url).code == "archive_unsafe"
    assert not list(tmp_path.rglob("evil"))
    assert quarantined(tmp_path / "models", "vosk", "en-small").is_dir()


@pytest.mark.parametrize("form", ["path", "file-address"])
def test_a_folder_of_this_machine_is_taken_as_it_is(tmp_path: Path, form: str) -> None:
    source = tmp_path / "my model"
    source.mkdir()
    (source / "model.bin").write_bytes(b"weights")
    where = str(source) if form == "path" else source.as_uri()
    pulled = pull("faster-whisper:mine", tmp_path / "models", 1.0, source=where)
    assert (pulled.folder / "model.bin").read_bytes() == b"weights"
    assert pulled.verified == {"model.bin": "nothing"}


def test_a_folder_carried_here_is_compared_with_the_checksums_it_brings(tmp_path: Path, server: ServedFiles) -> None:
    first = pull(SMALL, tmp_path / "there", 1.0, fetching=Fetching(base_url=server.url))
    assert pull(SMALL, tmp_path / "here", 1.0, source=str(first.folder)).folder.is_dir()
    (first.folder / "model.bin").write_bytes(b"bitten by the journey")
    failure = failure_of(SMALL, tmp_path / "here", source=str(first.folder))
    assert failure.code == "model_corrupt"
    assert "model.bin was changed" in failure.message


def test_a_zip_of_this_machine_is_unpacked(tmp_path: Path) -> None:
    (tmp_path / "m.zip").write_bytes(vosk_zip({"wrap/am/final.mdl": b"m"}))
    pulled = pull("vosk:de-own", tmp_path / "models", 1.0, source=str(tmp_path / "m.zip"))
    assert (pulled.folder / "am/final.mdl").is_file()


def test_a_source_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert failure_of("vosk:x", tmp_path, source=str(tmp_path / "nowhere")).code == "source_missing"


def test_verifying_moves_a_changed_model_out_of_the_engines_sight(tmp_path: Path, server: ServedFiles) -> None:
    folder = pull(SMALL, tmp_path, 1.0, fetching=Fetching(base_url=server.url)).folder
    content = bytearray((folder / "model.bin").read_bytes())
    content[1000] ^= 1
    (folder / "model.bin").write_bytes(content)
    assert [model.state for model in list_models(tmp_path)] == ["ready"]
    (found,) = list_models(tmp_path, verify=True)
    assert found.state == "quarantined"
    assert f"clustercore models pull {SMALL}" in found.detail
    assert not folder.exists()
    assert list_models(tmp_path) == []


def test_a_model_copied_by_hand_is_listed_as_unrecorded(tmp_path: Path) -> None:
    folder = tmp_path / "faster-whisper" / "own"
    folder.mkdir(parents=True)
    (folder / "model.bin").write_bytes(b"x")
    (found,) = list_models(tmp_path, verify=True)
    assert (found.label, found.state, found.size_bytes) == ("faster-whisper:own", "unrecorded", 1)


def test_removing_frees_the_model_and_what_is_left_of_its_downloads(tmp_path: Path, server: ServedFiles) -> None:
    server.tags[ROOT + "model.bin"] = "0" * 64
    failure_of(SMALL, tmp_path, base_url=server.url)
    server.tags.clear()
    pull(SMALL, tmp_path, 1.0, fetching=Fetching(base_url=server.url))
    assert remove(SMALL, tmp_path) > 2 * 200_000
    assert list_models(tmp_path) == []
    assert not quarantined(tmp_path).exists()


def test_removing_what_is_not_there_says_what_is(tmp_path: Path) -> None:
    with pytest.raises(ModelStoreError) as caught:
        remove("vosk:en-small", tmp_path)
    assert caught.value.code == "model_missing"
    assert "here: none" in caught.value.message
