"""Files that jobs need: none goes because another job is removed, and a lost piece is cut again."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from clustercore.blobs.models import Blob
from clustercore.blobs.services import store_file
from clustercore.config.environment import environment
from clustercore.jobs.models import Job, Unit
from clustercore.jobs.services.control import remove_job, retry_job
from tests.cast import LAPTOP, WORKSTATION
from tests.faults.cluster import Cluster, heard_words, pieces_of
from tests.faults.conftest import Record
from tests.faults.recording import Recording, make_recording
from tests.faults.waiting import until
from transcription.models import Piece
from transcription.models import Recording as StoredRecording

pytestmark = pytest.mark.services

ROUNDS = (9, 17)
"""How many pieces are cut when the old job goes."""


@pytest.mark.fault
def test_removing_the_old_job_of_a_recording_takes_nothing_from_the_new_one_being_cut(
    cluster: Cluster, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The grace is too short for the cutter, so that its pieces can go before it refers to them, and it cuts again."""
    monkeypatch.setenv("CLUSTERCORE_UNREFERENCED_HOURS", "0.00001")
    environment.cache_clear()
    cluster.start(WORKSTATION, LAPTOP)
    recording = make_recording(cluster.directory, "shared", 400, first=50_000)
    old = cluster.submit(recording, piece_seconds=10.0)
    cluster.until_done(old, 90)
    seen, tried_again = [], 0
    for enough in ROUNDS:
        new = cluster.submit(recording, piece_seconds=10.0)
        pieces = Piece.objects.filter(recording__job=new)
        until(lambda pieces=pieces, enough=enough: pieces.count() >= enough, 30, "nothing is cut")  # type: ignore[misc]
        remove_job(old.pk)
        seen.append(pieces.count())
        cluster.until_done(new, 90)
        assert heard_words(new) == recording.words
        tried_again += sum(Unit.objects.filter(job=new).values_list("failures", flat=True))
        old = new
    environment.cache_clear()
    record("removed-while-cutting", pieces_cut_at_removal=seen, tries_again=tried_again, lost=0)


def lose(cluster: Cluster, job: Job, *, pieces: int, recording: bool = False) -> list[str]:
    """Waits until all is cut; then the files of the last pieces are gone, half of them with their rows."""
    until(lambda: Unit.objects.get(job=job, stage="cut").state == "done", 30, "it is not cut")
    last = list(pieces_of(job).order_by("-ordinal")[:pieces])
    assert {unit.state for unit in last} == {"queued"}
    hashes = [unit.payload["blob"] for unit in last]
    Blob.objects.filter(pk__in=hashes[::2]).delete()
    whole = [StoredRecording.objects.get(job=job).blob] if recording else []
    for sha256 in [*hashes, *whole]:
        (cluster.data_directory / "blobs" / sha256[:2] / sha256[2:4] / sha256).unlink()
    return hashes


def test_pieces_whose_sound_is_lost_are_cut_again_and_heard(
    cluster: Cluster, recordings: Callable[[str], Recording], record: Record
) -> None:
    cluster.start(WORKSTATION, LAPTOP)
    recording = recordings("short")
    cluster.sha_undisturbed(recording)
    cluster.pull(seconds="1.5")
    since, job = time.time(), cluster.submit(recording)
    lost = lose(cluster, job, pieces=4)
    cluster.pull(seconds="0.1")
    cluster.until_done(job)
    seen = cluster.judge({job.pk: recording}, since)
    cuts = Unit.objects.filter(job=job, stage="cut").count()
    record("lost-pieces", **seen.as_json(), pieces_lost=len(lost), cuts=cuts)
    seen.assert_unharmed()
    assert 2 <= cuts <= 3


def test_a_job_that_lost_its_recording_too_says_so_and_goes_on_when_that_is_sent_again(
    cluster: Cluster, recordings: Callable[[str], Recording], record: Record
) -> None:
    cluster.start(WORKSTATION, LAPTOP)
    recording = recordings("short")
    cluster.sha_undisturbed(recording)
    cluster.pull(seconds="1.5")
    since, job = time.time(), cluster.submit(recording)
    lose(cluster, job, pieces=2, recording=True)
    cluster.pull(seconds="0.1")
    assert cluster.until_ended(job) == "failed"
    assert "nothing can make it again; submit it as a new job" in job.error
    store_file(recording.path)
    retry_job(job.pk)
    cluster.until_done(job)
    seen = cluster.judge({job.pk: recording}, since)
    record("lost-recording", **seen.as_json())
    seen.assert_unharmed()
