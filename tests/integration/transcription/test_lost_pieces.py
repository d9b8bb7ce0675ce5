"""Pieces that are cut again, and the references of jobs that were there before there were any."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from django.db import connection

from clustercore.blobs import services as blobs
from clustercore.config.environment import environment
from clustercore.jobs.domain.unit_context import UnitContext
from clustercore.jobs.domain.verdict import Done
from clustercore.jobs.models import Job, JobBlob, JobEvent, Unit
from tests.talk import talk
from transcription.models import Piece, Recording
from transcription.services.cutting import cut, lost_pieces, record_cut

pytestmark = pytest.mark.django_db


@pytest.fixture
def job() -> Job:
    return talk()


def needed(unit: Unit) -> list[str]:
    return list(JobBlob.objects.filter(unit=unit).values_list("sha256", flat=True))


def test_the_jobs_that_were_there_before_need_their_recording_and_their_pieces(job: Job) -> None:
    first = Piece.objects.get(recording__job=job, ordinal=0)
    detect = Unit.objects.create(
        job=job, stage="detect", ordinal=0, capability="stt", payload={"blob": first.blob}, created=job.created
    )
    with connection.cursor() as cursor:
        cursor.execute(import_module("transcription.migrations.0003_references").FILL)
    assert needed(Unit.objects.get(job=job, stage="cut")) == [Recording.objects.get(job=job).blob]
    assert needed(detect) == needed(first.unit) == [first.blob]
    assert JobBlob.objects.filter(job=job).count() == 2 + Piece.objects.filter(recording__job=job).count()


def test_a_piece_that_another_encoder_wrote_is_needed_under_its_new_hash(job: Job, tmp_path: Path) -> None:
    blobs.establish_hub(environment().data_dir, "http://127.0.0.1:1")
    (tmp_path / "0.flac").write_bytes(b"the same sound in other bytes")
    new = blobs.store_file(tmp_path / "0.flac")
    cut = Unit.objects.get(job=job, stage="cut")
    record_cut(cut.pk, {"samples": 1, "remade": [{"ordinal": 1, "blob": new}]})
    piece = Piece.objects.get(recording__job=job, ordinal=1)
    assert (piece.blob, piece.unit.payload["blob"], needed(piece.unit)) == (new, new, [new])
    assert "cut again" in JobEvent.objects.filter(job=job).latest("id").text


def test_pieces_that_the_ledger_does_not_know_as_stored_are_lost(job: Job, tmp_path: Path) -> None:
    blobs.establish_hub(environment().data_dir, "http://127.0.0.1:1")
    (tmp_path / "0.flac").write_bytes(b"sound")
    stored = blobs.store_file(tmp_path / "0.flac")
    assert lost_pieces(job.pk, ["0" * 64, stored, "1" * 64]) == [0, 2]


def test_the_language_is_told_from_a_first_piece_that_was_lost_before_anybody_heard_it(
    job: Job, tmp_path: Path
) -> None:
    blobs.establish_hub(environment().data_dir, "http://127.0.0.1:1")
    Job.objects.filter(pk=job.pk).update(language=None)

    def cut_first(_engine: str, _model: str, request: Any, on_event: Callable[[Any], None]) -> dict[str, int]:
        assert 0 in request["again"]
        (tmp_path / "0.flac").write_bytes(b"the first piece")
        on_event({"piece": {"ordinal": 0, "path": str(tmp_path / "0.flac"), "start_sample": 0, "end_sample": 1}})
        return {"samples": 1}

    context = SimpleNamespace(
        job_id=job.pk,
        parameters={},
        workspace=tmp_path,
        report=lambda *_: None,
        fetch=lambda _: tmp_path / "talk.wav",
        call_engine=cut_first,
    )
    verdict = cut(cast(UnitContext, context))
    assert isinstance(verdict, Done)
    record_cut(Unit.objects.get(job=job, stage="cut").pk, verdict.result)
    detect = Unit.objects.get(job=job, stage="detect")
    assert needed(detect) == [Piece.objects.get(recording__job=job, ordinal=0).blob] == [detect.payload["blob"]]
