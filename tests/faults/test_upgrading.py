"""A data directory that the version before has made and worked in, started by this one."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from clustercore.embedded.selectors import resolve_endpoints
from clustercore.embedded.services import stop
from tests import older
from tests.faults.conftest import Record
from tests.faults.older_engines import LADDER
from tests.faults.recording import Recording, make_recording
from tests.faults.workers import ROOT

pytestmark = [
    pytest.mark.services,
    pytest.mark.fault,
    pytest.mark.skipif(not older.is_in_history(), reason=older.ABSENT),
]

MEDIA = "transcription.adapters.media:MediaCutter"
COMMAND = ("-P", "-m", "clustercore.project.command_line.main")
TRANSCRIBE = ("transcribe", "--language", "en", "--format", "txt", "--output-dir")


@dataclass(frozen=True)
class Installation:
    """A version of the product and the data directory that its commands work in."""

    code: Path
    directory: Path
    variables: Mapping[str, str]

    def type(self, *words: str) -> str:
        """Runs a command, and returns all that it says."""
        done = subprocess.run(
            [sys.executable, *COMMAND, *words],
            cwd=self.directory,
            env={**self.variables, "PYTHONPATH": f"{self.code}:{ROOT}"},
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture
def directory() -> Iterator[Path]:
    """One that the servers' account may pass through."""
    made = Path(tempfile.mkdtemp(prefix="clustercore-upgrade-"))
    made.chmod(0o711)
    yield made
    stop(made / "data")
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def variables(directory: Path) -> dict[str, str]:
    private = ("CLUSTERCORE_", "DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE")
    own = {name: value for name, value in os.environ.items() if not name.startswith(private)}
    engines = [MEDIA, "tests.fakes.transcription.engines.oracle:Oracle"]
    return {
        **own,
        "CLUSTERCORE_DATA_DIR": str(directory / "data"),
        "CLUSTERCORE_NODE_NAME": "laptop",
        "CLUSTERCORE_ENGINES": json.dumps(engines),
        "CLUSTERCORE_TIERS": json.dumps({"stt": ["oracle:*"]}),
    }


@pytest.fixture
def recording(directory: Path) -> Recording:
    return make_recording(directory, "meeting", words=12, first=8000)


def test_a_data_directory_of_before_is_backed_up_and_brought_up_with_all_that_was_heard(
    directory: Path, variables: dict[str, str], recording: Recording, record: Record
) -> None:
    of_before = {
        "CLUSTERCORE_ENGINES": json.dumps([MEDIA, "tests.faults.older_engines:OlderOracle"]),
        LADDER: json.dumps(["oracle:*"]),
    }
    before = Installation(older.unpacked_wheel(directory), directory, {**variables, **of_before})
    before.type("up", "--detach", "--no-flower")
    before.type(*TRANSCRIBE, str(directory / "before"), str(recording.path))
    before.type("down")
    [heard] = (directory / "before").glob("*.txt")

    of_today = Installation(ROOT, directory, variables)
    of_today.type("up", "--detach", "--no-flower")
    log = (directory / "data" / "logs" / "up.log").read_text()
    [backup] = (directory / "data" / "backups").iterdir()
    assert str(backup) in re.sub(r"\s+", "", log)
    of_today.type("export", "1", "--format", "txt", "--output-dir", str(directory / "after"))
    [kept] = (directory / "after").glob("*.txt")
    assert kept.read_text() == heard.read_text()
    assert kept.read_text().split() == list(recording.words)

    of_today.type(*TRANSCRIBE, str(directory / "again"), "--force", str(recording.path))
    [again] = (directory / "again").glob("*.txt")
    assert again.read_text() == heard.read_text()
    with psycopg.connect(resolve_endpoints(directory / "data", None, None).database_url) as link:
        assert link.execute("SELECT '[1,2]'::vector <-> '[3,4]'::vector").fetchone() == (pytest.approx(8**0.5),)
    of_today.type("down")
    record("upgrade", backup_bytes=backup.stat().st_size, transcripts_kept=1)
