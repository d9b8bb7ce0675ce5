"""Workers of the version before, on a ledger that has been migrated: they take nothing and harm nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from django.core.management import call_command
from pytest_django.plugin import DjangoDbBlocker

from clustercore.embedded.domain.endpoints import Endpoints
from clustercore.jobs.models import Attempt, Job, Unit
from clustercore.nodes.models import Node
from tests import older
from tests.cast import LAPTOP, WORKSTATION
from tests.conftest import database_url_of
from tests.databases import redis_database, use_database
from tests.faults.cluster import WORKER_SETTINGS, heard_words
from tests.faults.conftest import Record
from tests.faults.older_engines import LADDER
from tests.faults.recording import Recording, make_recording
from tests.faults.waiting import until
from tests.faults.workers import ROOT, Worker

pytestmark = [
    pytest.mark.services,
    pytest.mark.fault,
    pytest.mark.skipif(not older.is_in_history(), reason=older.ABSENT),
]

DATABASE = "older"
ENGINES = ["transcription.adapters.media:MediaCutter", "tests.faults.older_engines:OlderPuppet"]
REDIS_DATABASE = 3
WORKER = ("-m", "celery", "-A", "clustercore", "worker", "--loglevel", "INFO", "--hostname", f"{LAPTOP}@%h")
SUBMIT = """
import sys, django
django.setup()
from pathlib import Path
from clustercore.blobs.services import establish_hub
from clustercore.config.environment import environment
from transcription.services.submit import Wishes, submit_transcription
establish_hub(environment().data_dir, "http://127.0.0.1:1")
print(submit_transcription(Path(sys.argv[1]), "older.flac", Wishes(language="en", piece_seconds=2.0))[0].pk)
"""


@dataclass
class Older:
    """What the version before does: its programs see nothing of this tree but the tests' engines."""

    wheel: Path
    directory: Path
    environment: Mapping[str, str]
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def run(self, *words: str) -> str:
        return subprocess.run(
            [sys.executable, *words], cwd=self.wheel, env=self._own(), check=True, timeout=60, stdout=subprocess.PIPE
        ).stdout.decode()

    def start_worker(self) -> subprocess.Popen[bytes]:
        with self.log_file.open("wb") as log:
            command = [sys.executable, *WORKER]
            worker = subprocess.Popen(command, cwd=self.wheel, env=self._own(), stdout=log, stderr=subprocess.STDOUT)
        self.workers.append(worker)
        return worker

    @property
    def log_file(self) -> Path:
        return self.directory / "older.log"

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def _own(self) -> dict[str, str]:
        return {
            **self.environment,
            "PYTHONPATH": f"{self.wheel}:{ROOT}",
            "CLUSTERCORE_NODE_NAME": LAPTOP,
            "CLUSTERCORE_ENGINES": json.dumps(ENGINES),
            LADDER: json.dumps(["oracle:*"]),
        }


@pytest.fixture
def before(services: Endpoints, django_db_blocker: DjangoDbBlocker, tmp_path: Path) -> Iterator[Older]:
    """The version before, and a database that it has made."""
    url = database_url_of(services.database_url, DATABASE)
    with psycopg.connect(services.database_url, autocommit=True) as link:
        link.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        link.execute(f"CREATE DATABASE {DATABASE}")
    (tmp_path / "strings").mkdir()
    own = {key: value for key, value in os.environ.items() if not key.startswith("CLUSTERCORE_")}
    environment = {
        **own,
        **WORKER_SETTINGS,
        "DJANGO_SETTINGS_MODULE": "clustercore.project.settings",
        "CLUSTERCORE_DATA_DIR": str(tmp_path / "data"),
        "PUPPET_DIRECTORY": str(tmp_path / "strings"),
        "DATABASE_URL": url,
        "REDIS_URL": redis_database(services.redis_url, REDIS_DATABASE),
    }
    made = Older(older.unpacked_wheel(tmp_path), tmp_path, environment)
    made.run("-m", "django", "migrate", "--verbosity", "0")
    with django_db_blocker.unblock():
        from django.db import connection

        name = str(connection.settings_dict["NAME"])
        use_database(DATABASE)
        yield made
        for worker in made.workers:
            worker.kill()
            worker.wait()
        use_database(name)
    with psycopg.connect(services.database_url, autocommit=True) as link:
        link.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    return make_recording(tmp_path, "older", words=12, first=7000)


def assert_refused(worker: subprocess.Popen[bytes], log: str) -> None:
    """It has ended, and its log says why and what to do."""
    assert worker.returncode == 1
    assert "This hub is of a newer version of clustercore than this worker" in log
    assert "clustercore up --listen" in log


def test_a_worker_of_before_takes_nothing_harms_nothing_and_says_that_it_is_too_old(
    before: Older, recording: Recording, record: Record
) -> None:
    running = before.start_worker()
    tested = Node.objects.exclude(self_test={}).values_list("pk")
    until(tested.exists, 40, lambda: f"it has not tested its engine: {before.log}")
    (before.directory / "strings" / "seconds").write_text("60")
    job_id = int(before.run("-c", SUBMIT, str(recording.path)))
    pieces = Attempt.objects.filter(unit__job=job_id, unit__stage="transcribe", outcome="live")
    until(pieces.exists, 20, lambda: f"it has no piece in hand: {before.log}")

    call_command("migrate", verbosity=0, interactive=False)
    migrated = time.monotonic()
    running.wait(20)
    ended_after = time.monotonic() - migrated
    assert_refused(running, before.log)
    made = Attempt.objects.count()

    again = before.start_worker()
    again.wait(30)
    assert_refused(again, before.log)
    assert Attempt.objects.count() == made
    assert not pieces.exists()
    assert set(Unit.objects.filter(job=job_id).values_list("strikes", "failures")) == {(0, 0)}

    (before.directory / "strings" / "seconds").unlink()
    of_today = Worker(
        WORKSTATION, {**before.environment, "CLUSTERCORE_NODE_NAME": WORKSTATION}, before.directory / "today.log"
    )
    try:
        job = until(lambda: Job.objects.filter(pk=job_id, state="done").first(), 40, lambda: of_today.log[-3000:])
        assert heard_words(job) == recording.words
    finally:
        of_today.close()
    record("older-worker", ended_after_s=round(ended_after, 2), attempts_after=Attempt.objects.count() - made)
