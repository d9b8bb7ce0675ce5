"""What the README tells programs to type is typed here."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from clustercore.jobs.models import Job
from tests.faults.workers import ROOT
from tests.integration.transcription.api.conftest import Hub

ADDRESS, TOKEN = "http://127.0.0.1:8000", "cc_…"


@pytest.fixture
def blocks() -> dict[str, list[str]]:
    """The blocks of the section, by language."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.partition("## From programs\n")[2].partition("\n## ")[0]
    found: dict[str, list[str]] = {}
    for language, block in re.findall(r"```(\w+)\n(.*?)```", section, re.DOTALL):
        found.setdefault(language, []).append(block)
    return found


def typed(hub: Hub, text: str) -> str:
    assert ADDRESS in text and TOKEN in text
    return text.replace(ADDRESS, hub.url).replace(TOKEN, hub.token("otto"))


def run(command: list[str], directory: Path, **variables: str) -> str:
    environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    done = subprocess.run(
        command,
        cwd=directory,
        env={**environment, **variables},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def directory(hub: Hub, tmp_path: Path) -> Path:
    shutil.copy(hub.recording("readme").path, tmp_path / "talk.flac")
    return tmp_path


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_lines(hub: Hub, blocks: dict[str, list[str]], directory: Path) -> None:
    compatible, rest = blocks["bash"]
    run(["bash", "-euc", typed(hub, compatible)], directory)
    captions = (directory / "talk.srt").read_text()
    assert captions.startswith("1\n00:00:0") and hub.recording("readme").words[-1] in captions
    lines = [line for line in rest.replace("\\\n", " ").splitlines() if line]
    assert len(lines) == 4
    access = {"HUB": hub.url, "TOKEN": hub.token("otto")}
    created = run(["bash", "-euc", lines[0]], directory, **access)
    job = Job.objects.latest("pk")
    assert f'"id":{job.pk},' in created.replace(" ", "")
    over, followed, told = (
        run(
            ["bash", "-euc", line.replace("/jobs/7", f"/jobs/{job.pk}").replace("/7/", f"/{job.pk}/")],
            directory,
            **access,
        )
        for line in lines[1:]
    )
    assert '"state":"done"' in over.replace(" ", "") and '"state": "done"' in followed
    assert tuple(told.split()) == hub.recording("readme").words


def test_python_lines(hub: Hub, blocks: dict[str, list[str]], directory: Path) -> None:
    (lines,) = blocks["python"]
    heard = run([sys.executable, "-W", "error::SyntaxWarning", "-c", typed(hub, lines)], directory)
    assert tuple(heard.split()) == hub.recording("readme").words
