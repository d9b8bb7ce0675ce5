"""An action is never done twice: whoever dies in the middle of one leaves a question, and a person answers it."""

from __future__ import annotations

import signal
import time

import pytest

from clustercore.blobs.selectors import hub_identity
from clustercore.jobs.domain import kinds
from clustercore.jobs.domain.job_request import JobRequest
from clustercore.jobs.domain.spooling import SpooledResult
from clustercore.jobs.domain.verdict import Done
from clustercore.jobs.models import Attempt, Job, Question, Unit
from clustercore.jobs.services.answering import release_unit, skip_unit
from clustercore.jobs.services.submit import submit
from clustercore.nodes.adapters.spool import DirectorySpools, spool_directory
from tests.cast import LAPTOP, WORKSTATION
from tests.faults.cluster import RESUMED_SECONDS, Cluster
from tests.faults.conftest import Record
from tests.faults.letters import LETTERS, sent
from tests.faults.waiting import until

pytestmark = pytest.mark.services


@pytest.fixture(autouse=True)
def kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process submits letters; the workers know them by `failpoints`."""
    monkeypatch.setitem(kinds._KINDS, "letters", LETTERS)


def letter() -> Unit:
    job, _ = submit(None, JobRequest(kind="letters", title="a letter"), backlog_limit=1000)
    return Unit.objects.get(job=job)


def until_sent(cluster: Cluster, unit: Unit) -> str:
    """Waits for the line of a letter, and says which node wrote it."""
    lines = until(lambda: [node for one, node in sent(cluster.strings) if one == unit.pk], 30.0, "nobody sends it")
    return lines[0]


def until_asked(unit: Unit) -> Question:
    """Waits for the question whether it was sent."""
    open_questions = Question.objects.filter(unit=unit, of_outcome=True, answer="", withdrawn=None)
    return until(open_questions.first, RESUMED_SECONDS, "nobody is asked whether it was sent")


def another_is_sent(cluster: Cluster) -> None:
    """Whatever else may be done is done: nodes took all that they could get."""
    cluster.pull(**{"counter-open": "yes"})
    cluster.until_done(Job.objects.get(units=letter()))


def keep_result(cluster: Cluster, attempt: Attempt) -> None:
    """What its worker would have put on disk, had it lived on while the hub was away."""
    kept = SpooledResult(
        key=attempt.key,
        job_key=attempt.unit.job.key,
        stage=attempt.unit.stage,
        ordinal=attempt.unit.ordinal,
        input_hash="",
        verdict=Done({"sent": attempt.unit_id}),
        served_by={},
    )
    spools = DirectorySpools(spool_directory(cluster.data_directory, attempt.node_name))
    spools.of(hub_identity()).put(f"attempt-{attempt.key}", kept.to_json())


@pytest.mark.parametrize("comes_back", [False, True], ids=["gone for good", "started again"])
def test_what_a_killed_worker_did_is_done_once_and_a_person_is_asked(
    cluster: Cluster, record: Record, comes_back: bool
) -> None:
    cluster.start(WORKSTATION, LAPTOP)
    unit = letter()
    holder = until_sent(cluster, unit)
    killed_at = time.time()
    cluster.workers[holder].kill_tree()
    if comes_back:
        cluster.start(WORKSTATION, LAPTOP)
    question = until_asked(unit)
    asked_after = round(question.created.timestamp() - killed_at, 2)
    another_is_sent(cluster)
    lines = [one for one, _ in sent(cluster.strings)].count(unit.pk)
    assert lines == 1
    assert Attempt.objects.get(unit=unit).outcome == "unknown"
    assert question.text.startswith("it is not known whether this was done")
    skip_unit(unit.pk, "otto")
    unit.refresh_from_db()
    assert (unit.state, unit.job.state) == ("skipped", "done")
    record(
        f"once-{'back' if comes_back else 'gone'}", times_done=lines, asked_after_s=asked_after, question=question.text
    )


def test_a_person_may_have_it_done_again(cluster: Cluster) -> None:
    cluster.start(WORKSTATION, LAPTOP)
    unit = letter()
    cluster.workers[until_sent(cluster, unit)].kill_tree()
    until_asked(unit)
    cluster.pull(**{"counter-open": "yes"})
    release_unit(unit.pk, "otto")
    cluster.until_done(unit.job)
    assert [one for one, _ in sent(cluster.strings)].count(unit.pk) == 2


def test_a_result_that_was_kept_on_disk_answers_the_question(cluster: Cluster, record: Record) -> None:
    cluster.start(WORKSTATION, LAPTOP)
    unit = letter()
    holder = until_sent(cluster, unit)
    cluster.workers[holder].kill_tree()
    question = until_asked(unit)
    keep_result(cluster, Attempt.objects.select_related("unit__job").get(unit=unit))
    cluster.start(WORKSTATION, LAPTOP)
    cluster.until_done(unit.job)
    question.refresh_from_db()
    unit.refresh_from_db()
    assert (unit.state, unit.result) == ("done", {"sent": unit.pk})
    assert question.withdrawn is not None and question.answer == ""
    assert [one for one, _ in sent(cluster.strings)].count(unit.pk) == 1
    record("once-kept", times_done=1, withdrawn=True)


def test_a_worker_that_was_frozen_and_says_late_what_it_did_answers_the_question(
    cluster: Cluster, record: Record
) -> None:
    cluster.start(WORKSTATION, LAPTOP)
    unit = letter()
    holder = cluster.workers[until_sent(cluster, unit)]
    holder.signal_tree(signal.SIGSTOP)
    question = until_asked(unit)
    cluster.pull(**{"counter-open": "yes"})
    holder.signal_tree(signal.SIGCONT)
    until(lambda: Unit.objects.get(pk=unit.pk).state != "held", RESUMED_SECONDS, "its late word did not count")
    unit.refresh_from_db()
    question.refresh_from_db()
    assert unit.state == "done" and question.withdrawn is not None
    record("once-frozen", times_done=1, withdrawn=True)
