"""Requests that are sent again, or by two at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from clustercore.access.domain.identity import Identity
from clustercore.blobs import services as blobs
from clustercore.config.environment import environment
from clustercore.jobs.models import Job
from clustercore.jobs.services.sent_files import file_at
from tests.people import identity
from transcription.domain.openai_request import AUTO, Wanted
from transcription.services.request_deduplication import find_or_submit

pytestmark = pytest.mark.django_db

WANTED = Wanted(task="transcribe", model=AUTO)


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    blobs.establish_hub(environment().data_dir, "http://127.0.0.1:1")
    path = tmp_path / "talk.wav"
    path.write_bytes(b"RIFF....")
    return path


def send(who: Identity, path: Path) -> int:
    return find_or_submit(who, WANTED, file_at(path, path.name), None)


def test_the_same_request_sent_again_finds_its_job(talk: Path) -> None:
    otto = identity("otto")
    assert send(otto, talk) == send(otto, talk)
    assert Job.objects.count() == 1


def test_a_request_whose_job_was_cancelled_gets_another(talk: Path) -> None:
    otto = identity("otto")
    first = send(otto, talk)
    Job.objects.filter(pk=first).update(state="cancelled")
    assert send(otto, talk) != first


@pytest.mark.parametrize("statement", range(1, 3))
def test_a_request_that_comes_between_two_statements_of_the_same_one_shares_its_job(talk: Path, statement: int) -> None:
    otto = identity("otto")
    other: list[int] = []
    seen = 0

    def also_sent(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal seen
        found = execute(sql, params, many, context)
        seen += '"jobs_job"' in sql and sql.startswith("SELECT")
        if seen == statement and not other:
            other.append(0)
            other[0] = send(otto, talk)
        return found

    with connection.execute_wrapper(also_sent):
        job = send(otto, talk)
    assert other == [job]
    assert Job.objects.count() == 1
