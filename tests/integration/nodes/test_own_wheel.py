"""The hub gives out its own wheel, so that another machine gets the very same version."""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import sys
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.test import Client

from clustercore.nodes.adapters import own_wheel as packing
from clustercore.nodes.adapters.own_wheel import own_wheel, tracked_files
from clustercore.nodes.domain.joining import join_command
from tests.architecture.source import PACKAGES, ROOT

NAME = f"clustercore-{distribution('clustercore').version}-py3-none-any.whl"


@pytest.fixture(scope="module")
def content() -> bytes:
    """What a stranger gets."""
    response = Client().get(f"/install/{NAME}")
    assert response.status_code == 200
    return response.content


def test_a_stranger_gets_the_wheel_whose_checksum_another_process_prints(content: bytes) -> None:
    words = "from clustercore.nodes.adapters.own_wheel import own_wheel; print(own_wheel().sha256)"
    printed = subprocess.run([sys.executable, "-c", words], check=True, capture_output=True, text=True, timeout=60)
    assert hashlib.sha256(content).hexdigest() == printed.stdout.strip()


def test_it_holds_every_module_and_what_they_read(content: bytes) -> None:
    names = set(zipfile.ZipFile(io.BytesIO(content)).namelist())
    modules = {path.relative_to(ROOT).as_posix() for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    known = [tracked_files(ROOT / package) for package in PACKAGES]
    assert modules & set().union(*(one or modules for one in known)) <= names
    assert {"templates/base.html", "transcription/samples/conversation.opus"} <= names
    assert not [name for name in names if "__pycache__" in name or name.startswith("tests/")]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in the place of every package, with what does not belong into the wheel beside what does."""
    folder = tmp_path / "clone" / "product"
    folder.mkdir(parents=True)
    secret = tmp_path / "passwords.txt"
    secret.write_text("secret")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "notes.txt").write_text("secret")
    (folder / "__init__.py").write_text("")
    (folder / "page.html").write_text("<p>")
    (folder / "py.typed").write_text("")
    (folder / "dump.sql").write_text("secret")
    (folder / "other.typed").write_text("secret")
    (folder / "link.txt").symlink_to(secret)
    (folder / "linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    monkeypatch.setattr(packing, "find_spec", lambda name: SimpleNamespace(submodule_search_locations=[str(folder)]))
    return folder


def packed_of(recorded: set[str]) -> set[str]:
    return {name for name, _ in packing._files_of("product", recorded)}


def test_links_and_other_kinds_of_files_are_no_part_of_it(package: Path) -> None:
    assert packed_of(set()) == {"product/__init__.py", "product/page.html", "product/py.typed"}


def test_of_an_installation_it_holds_what_was_installed(package: Path) -> None:
    (package / "notes.txt").write_text("secret")
    recorded = {"product/__init__.py", "product/page.html", "product/gone.py"}
    assert packed_of(recorded) == {"product/__init__.py", "product/page.html"}


@pytest.mark.skipif(shutil.which("git") is None, reason="needs Git")
def test_of_a_clone_it_holds_what_git_tracks(package: Path) -> None:
    (package / "notes.txt").write_text("secret")
    for words in (["init", "-q"], ["add", "product/__init__.py", "product/page.html", "product/link.txt"]):
        subprocess.run(["git", *words], cwd=package.parent, check=True)
    assert packed_of(set()) == {"product/__init__.py", "product/page.html"}


def test_packed_again_it_is_the_same(content: bytes) -> None:
    packing._packed.cache_clear()
    assert own_wheel().content == content


def test_of_many_who_ask_at_once_one_packs_and_a_wrong_name_packs_nothing(
    content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed: list[int] = []
    modules, together = packing._modules, threading.Barrier(4)

    def counted(installed: Distribution) -> dict[str, bytes]:
        packed.append(1)
        return modules(installed)

    monkeypatch.setattr(packing, "_modules", counted)
    packing._packed.cache_clear()
    assert Client().get("/install/clustercore-99.0-py3-none-any.whl").status_code == 404
    assert packed == []

    def ask(number: int) -> bytes:
        together.wait(30)
        return own_wheel().content

    with ThreadPoolExecutor(4) as askers:
        assert set(askers.map(ask, range(4))) == {content}
    assert packed == [1]


def test_where_nothing_is_installed_the_hub_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(packing, "distribution", missing)
    response = Client().get(f"/install/{NAME}")
    assert response.status_code == 404
    assert "from a clone" in response.content.decode()


def test_pip_installs_it_and_the_command_is_there(content: bytes, tmp_path: Path) -> None:
    wheel = tmp_path / NAME
    wheel.write_bytes(content)
    target = tmp_path / "installed"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(target)]
    requirement = f"clustercore[node] @ {wheel.as_uri()}#sha256={own_wheel().sha256}"
    subprocess.run([*command, requirement], check=True, cwd=tmp_path, timeout=120)
    assert (target / "clustercore/nodes/adapters/own_wheel.py").is_file()
    assert (target / "bin/clustercore").is_file()


def test_another_version_is_not_there_and_the_answer_names_the_one_that_is() -> None:
    response = Client().get("/install/clustercore-99.0-py3-none-any.whl")
    assert response.status_code == 404
    assert NAME in response.content.decode()


def test_the_line_to_paste_names_the_wheel_its_checksum_and_what_the_node_needs() -> None:
    line = join_command(f"http://192.168.1.10:7420/install/{NAME}", "ab" * 32, "postgresql://x", "redis://y")
    assert "\n" not in line
    assert f"clustercore[node] @ http://192.168.1.10:7420/install/{NAME}#sha256={'ab' * 32}" in line
    assert line.endswith("DATABASE_URL='postgresql://x' REDIS_URL='redis://y' ~/clustercore-node/bin/clustercore node")
