from __future__ import annotations

from uuid import UUID

import pytest

from clustercore.jobs.domain.verdict import Ask, Crashed, Done, Fail, HandBack, Hold, Remake, Retry, Verdict
from clustercore.jobs.services.claim import Claimed
from clustercore.jobs.services.work import LONGEST_REASON, AttemptFailed, told

CLAIMED = Claimed(
    unit_id=12,
    attempt_id=30,
    key=UUID(int=30),
    attempt_number=1,
    stage="transcribe",
    ordinal=4,
    payload={},
    minimum_rung=0,
    job_id=3,
    job_key=UUID(int=3),
    kind="transcription",
    parameters={},
    language="en",
    engine="",
    model="",
    blobs=(),
    hub="",
)
UNIT = "unit 12 of job 3 (transcribe 4)"


@pytest.mark.parametrize("verdict", [Fail("no audio"), Retry("no audio"), Crashed("no audio")])
def test_a_try_that_failed_is_a_failed_task_that_names_its_unit(verdict: Verdict) -> None:
    with pytest.raises(AttemptFailed, match="no audio") as failure:
        told(CLAIMED, verdict)
    assert str(failure.value).startswith(UNIT)


@pytest.mark.parametrize(
    "verdict",
    [
        None,
        Done({"text": "what was said"}),
        Hold("the hub is away"),
        HandBack("stopping"),
        Remake("lost", "cut"),
        Ask("Send it?", ["yes"]),
    ],
)
def test_a_try_that_did_not_fail_is_told_without_its_result(verdict: Verdict | None) -> None:
    text = told(CLAIMED, verdict)
    assert text.startswith(UNIT)
    assert "what was said" not in text


def test_what_an_engine_wrote_before_it_died_stays_in_the_ledger() -> None:
    with pytest.raises(AttemptFailed) as failure:
        told(CLAIMED, Crashed("killed by signal 9\nthe last words of the engine"))
    assert "last words" not in str(failure.value)
    with pytest.raises(AttemptFailed) as failure:
        told(CLAIMED, Fail("x" * 5000))
    assert len(str(failure.value)) < LONGEST_REASON + 100
