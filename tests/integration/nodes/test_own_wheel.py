"""The hub gives out its own wheel, so that another machine gets the very same version."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest
from django.test import Client

from clustercore.nodes.adapters.own_wheel import own_wheel
from clustercore.nodes.domain.joining import join_command
from tests.architecture.source import PACKAGES, ROOT

NAME = f"clustercore-{distribution('clustercore').version}-py3-none-any.whl"


@pytest.fixture(scope="module")
def content() -> bytes:
    """What a stranger gets."""
    response = Client().get(f"/install/{NAME}")
    assert response.status_code == 200
    return response.content


def test_a_stranger_gets_the_wheel_whose_checksum_the_hub_prints(content: bytes) -> None:
    assert hashlib.sha256(content).hexdigest() == own_wheel().sha256


def test_it_holds_every_module_and_what_they_read(content: bytes) -> None:
    names = set(zipfile.ZipFile(io.BytesIO(content)).namelist())
    modules = {path.relative_to(ROOT).as_posix() for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    assert modules <= names
    assert {"templates/base.html", "transcription/samples/conversation.opus", "clustercore/py.typed"} & names >= {
        "templates/base.html",
        "transcription/samples/conversation.opus",
    }
    assert not [name for name in names if "__pycache__" in name or name.startswith("tests/")]


def test_packed_again_it_is_the_same(content: bytes) -> None:
    own_wheel.cache_clear()
    assert own_wheel().content == content


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
