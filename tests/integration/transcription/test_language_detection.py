"""The language of a job is that of the first piece in which somebody speaks, and unknown where nobody does."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from types import SimpleNamespace
from typing import Any, cast

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from clustercore.blobs import services as blobs
from clustercore.config.environment import environment
from clustercore.jobs.domain.job_request import JobRequest
from clustercore.jobs.domain.new_unit import NewUnit
from clustercore.jobs.domain.unit_context import UnitContext
from clustercore.jobs.domain.verdict import Done
from clustercore.jobs.models import Job, JobBlob, JobEvent, Unit
from clustercore.jobs.services.queueing import queue_units
from clustercore.jobs.services.submit import submit
from clustercore.nodes.domain.engine import ModelRecord
from clustercore.nodes.domain.inventory import TieredModel
from tests.cast import WORKSTATION, start_node
from tests.talk import ended, heard_in, merge, taken
from transcription.models import Piece
from transcription.services import transcribing
from transcription.services.transcribing import detect
from transcription.workflows import TRANSCRIPTION

pytestmark = pytest.mark.django_db


@pytest.fixture
def job(tmp_path: Any) -> Job:
    """A recording whose language nobody said, waiting to be cut."""
    blobs.establish_hub(environment().data_dir, "http://127.0.0.1:1")
    start_node(WORKSTATION)
    parameters = {"prompt": "", "piece_seconds": None, "blob": "0" * 64}
    request = JobRequest(kind="transcription", title="talk.wav", parameters=parameters, needs=None)
    made, _ = submit(None, request, backlog_limit=100)
    return made


def cut_into(job: Job, tmp_path: Any, sound_seconds: Sequence[float], first: int = 0) -> None:
    """The next pieces come, with so many seconds of sound in each."""
    queue_units(TRANSCRIPTION, job.pk, pieces(job, tmp_path, sound_seconds, first))


def pieces(job: Job, tmp_path: Any, sound_seconds: Sequence[float], first: int = 0) -> list[NewUnit]:
    """The units of pieces that are cut and stored."""
    units = []
    for ordinal, seconds in enumerate(sound_seconds, first):
        (tmp_path / "piece.flac").write_bytes(f"{job.pk} {ordinal}".encode())
        blob = blobs.store_file(tmp_path / "piece.flac")
        place = {"start_sample": ordinal * 16_000, "end_sample": (ordinal + 1) * 16_000}
        payload = {"blob": blob, **place, "sound_seconds": seconds}
        units.append(NewUnit(stage="transcribe", ordinal=ordinal, payload=payload, blobs=[blob]))
    return units


def all_cut(job: Job) -> None:
    """The cutter has reached the end."""
    claimed = next_of(job, "cut")
    ended(claimed, Done({"samples": 16_000 * 10, "container": "wav", "notes": []}))


def next_of(job: Job, stage: str) -> Any:
    """The next unit of a stage, claimed while the others wait."""
    others = Unit.objects.filter(job=job, state="queued").exclude(stage=stage)
    held = list(others.values_list("pk", flat=True))
    others.update(state="held")
    claimed = taken(stage)
    Unit.objects.filter(pk__in=held).update(state="queued")
    return claimed


def tell(job: Job, language: str | None, probability: float | None = None) -> int:
    """A detection ends so; the ordinal of the piece that was asked."""
    claimed = next_of(job, "detect")
    ended(claimed, Done({"language": language, "probability": probability, "how": "heard by whisper:large"}))
    return Unit.objects.get(pk=claimed.unit_id).ordinal


def state_of(job: Job) -> tuple[str | None, set[str]]:
    """The job's language, and the states of its pieces."""
    states = set(Unit.objects.filter(job=job, stage="transcribe").values_list("state", flat=True))
    return Job.objects.get(pk=job.pk).language, states


def notes(job: Job) -> list[str]:
    return list(JobEvent.objects.filter(job=job, name="note").values_list("text", flat=True))


def test_silence_first_does_not_decide_the_language(job: Job, tmp_path: Any) -> None:
    cut_into(job, tmp_path, [0.0, 0.0])
    assert not Unit.objects.filter(job=job, stage="detect").exists()
    cut_into(job, tmp_path, [7.5, 9.0], first=2)
    assert state_of(job) == (None, {"held"})
    assert tell(job, "fr") == 2
    assert state_of(job) == ("fr", {"queued"})
    assert notes(job) == []


def test_a_piece_in_which_nobody_spoke_is_followed_by_the_next_one_with_sound(job: Job, tmp_path: Any) -> None:
    cut_into(job, tmp_path, [3.0, 0.0, 4.0])
    assert tell(job, None) == 0
    assert state_of(job) == (None, {"held"})
    assert tell(job, "de") == 2
    assert state_of(job)[0] == "de"


def test_a_piece_that_comes_after_a_detection_that_heard_nothing_is_asked(job: Job, tmp_path: Any) -> None:
    cut_into(job, tmp_path, [3.0])
    tell(job, None)
    cut_into(job, tmp_path, [2.0], first=1)
    asked = Unit.objects.get(job=job, stage="detect", state="queued")
    assert asked.ordinal == 1
    assert list(JobBlob.objects.filter(unit=asked).values_list("sha256", flat=True)) == [asked.payload["blob"]]
    assert tell(job, "nl") == 1
    assert state_of(job) == ("nl", {"queued"})


@pytest.mark.parametrize("sound", [[0.0, 0.0], [2.0, 3.0]])
def test_where_nobody_speaks_the_language_is_unknown_and_said_so(sound: list[float], job: Job, tmp_path: Any) -> None:
    cut_into(job, tmp_path, sound)
    if any(sound):
        tell(job, None)
        tell(job, None)
    assert state_of(job) == (None, {"held"})
    all_cut(job)
    assert state_of(job) == ("", {"queued"})
    assert notes(job) == []
    for _ in sound:
        ended(taken("transcribe"), Done({**heard_in(0), "segments": []}))
    merge(job)
    assert notes(job) == ["Nobody was heard to speak in this recording, so its language is not known."]


def test_of_a_recording_with_a_text_nobody_says_that_nobody_spoke(job: Job, tmp_path: Any) -> None:
    cut_into(job, tmp_path, [2.0])
    tell(job, None)
    all_cut(job)
    ended(taken("transcribe"), Done(heard_in(0)))
    merge(job)
    assert state_of(job)[0] == ""
    assert notes(job) == []


def test_a_new_piece_is_asked_about_without_looking_at_all_those_before(job: Job, tmp_path: Any) -> None:
    cut_into(job, tmp_path, [0.0] * 5)
    with CaptureQueriesContext(connection) as queries:
        cut_into(job, tmp_path, [0.0], first=5)
    assert not [
        one["sql"] for one in queries if 'FROM "transcription_piece"' in one["sql"] and "ORDER BY" in one["sql"]
    ]
    cut_into(job, tmp_path, [1.0], first=6)
    assert tell(job, "fr") == 6


def test_pieces_that_come_together_are_recorded_in_order_in_a_fixed_number_of_statements(
    job: Job, tmp_path: Any
) -> None:
    taken = []
    for first, count in ((0, 2), (2, 40)):
        units = pieces(job, tmp_path, [0.0] * count, first)
        with CaptureQueriesContext(connection) as queries:
            queue_units(TRANSCRIPTION, job.pk, units)
        taken.append(len(queries))
    assert taken[1] <= taken[0]
    recorded = Piece.objects.filter(recording__job=job).order_by("ordinal")
    assert list(recorded.values_list("ordinal", "unit__ordinal", "start_sample")) == [
        (ordinal, ordinal, ordinal * 16_000) for ordinal in range(42)
    ]


def test_a_piece_that_is_known_already_is_not_recorded_again(job: Job, tmp_path: Any) -> None:
    cut_into(job, tmp_path, [0.0, 0.0])
    cut_into(job, tmp_path, [0.0, 0.0, 1.0])
    recorded = Piece.objects.filter(recording__job=job).order_by("ordinal")
    assert list(recorded.values_list("ordinal", "unit__ordinal")) == [(0, 0), (1, 1), (2, 2)]
    assert tell(job, "fr") == 2


def test_of_pieces_that_come_together_the_first_with_sound_is_asked_once(job: Job, tmp_path: Any) -> None:
    cut_into(job, tmp_path, [0.0, 5.0, 6.0])
    asked = Unit.objects.get(job=job, stage="detect")
    assert asked.ordinal == 1
    assert list(JobBlob.objects.filter(unit=asked).values_list("sha256", flat=True)) == [asked.payload["blob"]]


def test_the_end_of_the_cut_does_not_overtake_a_detection_that_is_under_way(job: Job, tmp_path: Any) -> None:
    cut_into(job, tmp_path, [2.0])
    claimed = next_of(job, "detect")
    all_cut(job)
    assert state_of(job) == (None, {"held"})
    ended(claimed, Done({"language": None, "how": "whisper:large heard nobody speak"}))
    assert state_of(job) == ("", {"queued"})


def test_the_pieces_of_an_unknown_language_are_heard_by_any_engine(job: Job, tmp_path: Any) -> None:
    cut_into(job, tmp_path, [0.0])
    all_cut(job)
    claimed = taken("transcribe")
    assert claimed.language == ""
    ended(claimed, Done(heard_in(0)))


def test_a_doubtful_language_is_weighed_against_that_of_further_pieces(job: Job, tmp_path: Any) -> None:
    cut_into(job, tmp_path, [2.0, 2.0])
    tell(job, "cy", 0.2)
    assert tell(job, "en", 0.4) == 1
    all_cut(job)
    assert state_of(job)[0] == "en"


def asked_of(answer: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the stage makes of an engine's answer."""
    model = ModelRecord(capability="stt", engine="whisper", model="large", traits=("lang:*", "detects-language"))
    monkeypatch.setattr(transcribing, "models_on", lambda *_: [TieredModel(model, 1)])
    context = SimpleNamespace(
        node_id=1,
        minimum_rung=0,
        prefers=("detects-language",),
        payload={"blob": "x"},
        fetch=lambda _: "x",
        call_engine=lambda *_: answer,
    )
    verdict = detect(cast(UnitContext, context))
    assert isinstance(verdict, Done)
    return dict(verdict.result)


def test_an_engine_that_heard_nothing_has_not_heard_english(monkeypatch: pytest.MonkeyPatch) -> None:
    for answer in ({"language": None}, {"language": ""}, {}):
        assert asked_of(answer, monkeypatch)["language"] is None
    heard = asked_of({"language": "fr", "language_probability": 0.8}, monkeypatch)
    assert (heard["language"], heard["probability"]) == ("fr", 0.8)


def test_a_decided_language_becomes_what_the_job_needs_in_the_same_transaction(job: Job, tmp_path: Any) -> None:
    cut_into(job, tmp_path, [2.0])
    assert Job.objects.get(pk=job.pk).needs is None
    claimed = next_of(job, "detect")
    assert claimed.prefers == ["detects-language"]
    ended(claimed, Done({"language": "de", "probability": 0.9, "how": "heard by whisper:large"}))
    assert Job.objects.get(pk=job.pk).needs == ["lang:de"]


def test_the_migration_lets_detections_that_wait_go_to_models_that_detect(job: Job, tmp_path: Any) -> None:
    cut_into(job, tmp_path, [2.0])
    Unit.objects.filter(job=job).update(prefers=[])
    with connection.cursor() as cursor:
        cursor.execute(import_module("transcription.migrations.0004_traits").PREFERRED)
    assert next_of(job, "detect").prefers == ["detects-language"]
    assert list(Unit.objects.filter(job=job, stage="transcribe").values_list("prefers", flat=True)) == [[]]
