"""What a job asks is shown to whoever may see it, and answered by whoever may act on it: by page and by API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.db.models.functions import Now
from django.test import Client

from clustercore.access.models import AuditEntry
from clustercore.jobs.domain.verdict import Ask
from clustercore.jobs.models import Job, Question, Unit
from clustercore.jobs.selectors.progress import job_progress
from clustercore.jobs.services.settle import settle
from tests.integration.jobs.conftest import submitted
from tests.integration.jobs.letters import asked, letter, taken
from tests.people import person, token_of

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("letters")]
HASH = "hash of the letter"
MAY_I = Ask("Send it to <vera>?", ["approve", "refuse"], bound_to=HASH, until=3600.0, default="skip")


@pytest.fixture
def unit(letters: None) -> Unit:
    """Otto's letter, which asks."""
    found = letter(owner_id=person("otto").pk)
    settle(taken().key, MAY_I)
    found.refresh_from_db()
    return found


def signed_in(name: str) -> Client:
    client = Client()
    client.force_login(person(name))
    return client


def program_of(name: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {token_of(name)}"})


def address(unit: Unit, question_id: int | None = None) -> str:
    questions = f"/api/v1/jobs/{unit.job_id}/questions"
    return questions if question_id is None else f"{questions}/{question_id}/answer"


def answered(client: Client, unit: Unit, **body: Any) -> Any:
    """The answer of the API to the answer of a program."""
    given = {"option": "approve", "bound_to": HASH} | body
    return client.post(address(unit, Question.objects.get(unit=unit).pk), given, content_type="application/json")


def page(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200
    return str(response.content.decode())


def test_the_api_tells_what_is_asked(unit: Unit) -> None:
    [question] = program_of("otto").get(address(unit)).json()["results"]
    assert question["text"] == "Send it to <vera>?"
    assert question["options"] == ["approve", "refuse", "skip"]
    assert (question["state"], question["default"], question["bound_to"]) == ("open", "skip", HASH)
    assert (question["unit_id"], question["stage"], question["answer"]) == (unit.pk, "send", "")


def test_an_answer_by_the_api_lets_the_unit_go_on_and_is_in_the_audit_log(unit: Unit) -> None:
    response = answered(program_of("otto"), unit)
    assert response.status_code == 200
    assert (response.json()["state"], response.json()["answered_by"]) == ("answered", "otto")
    unit.refresh_from_db()
    assert unit.state == "queued"
    entry = AuditEntry.objects.get(action="question.answer")
    assert (entry.actor, entry.target) == ("otto", f"unit {unit.pk} of job {unit.job_id}")
    assert entry.detail["option"] == "approve"


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"bound_to": "hash of another letter"}, 409, "has changed"),
        ({"option": "do it again"}, 400, "is none of approve, refuse, skip"),
        ({"option": ""}, 400, "option"),
        ({"by": "ada"}, 400, "cannot be set here"),
    ],
)
def test_what_does_not_fit_the_question_is_refused(unit: Unit, body: dict[str, str], status: int, says: str) -> None:
    response = answered(program_of("otto"), unit, **body)
    assert response.status_code == status
    assert says in response.json()["error"]["message"]
    assert asked(unit) and not AuditEntry.objects.filter(action="question.answer").exists()


def test_a_second_answer_and_a_late_one_are_conflicts(unit: Unit) -> None:
    assert answered(program_of("otto"), unit).status_code == 200
    again = answered(program_of("otto"), unit, option="refuse")
    assert again.status_code == 409 and "answered already" in again.json()["error"]["message"]


def test_an_answer_to_what_is_over_is_a_conflict(unit: Unit) -> None:
    Question.objects.update(until=Now() - timedelta(seconds=1))
    late = answered(program_of("otto"), unit)
    assert late.status_code == 409 and "its time is over" in late.json()["error"]["message"]


def test_who_may_not_see_the_job_finds_no_question_and_who_may_only_read_it_answers_none(unit: Unit) -> None:
    assert program_of("vera").get(address(unit)).status_code == 404
    assert answered(program_of("olga"), unit).status_code == 404
    Job.objects.update(shared=True)
    assert program_of("vera").get(address(unit)).status_code == 200
    assert answered(program_of("olga"), unit).status_code == 403
    assert answered(program_of("ada"), unit).status_code == 200


def test_a_question_of_another_job_is_not_there(unit: Unit) -> None:
    other = submitted(owner_id=person("otto").pk)
    path = f"/api/v1/jobs/{other.pk}/questions/{Question.objects.get().pk}/answer"
    response = program_of("otto").post(path, {"option": "approve", "bound_to": HASH}, content_type="application/json")
    assert response.status_code == 404


def test_lists_can_be_narrowed_to_what_waits_for_an_answer(unit: Unit) -> None:
    submitted(owner_id=person("otto").pk)
    [found] = program_of("otto").get("/api/v1/jobs?waits=answer").json()["results"]
    assert (found["id"], found["standing"], found["asks"]) == (unit.job_id, "asking", "Send it to <vera>?")
    assert program_of("otto").get("/api/v1/jobs?waits=rain").status_code == 400
    text = page(signed_in("otto"), "/jobs/?waits=answer")
    assert "a letter" in text and "add them up" not in text


def test_a_job_that_waits_for_a_person_stands_in_nobodys_way(unit: Unit) -> None:
    behind = submitted()
    found = {job.id: job for job in job_progress(Job.objects.all())}
    assert found[unit.job_id].place is None
    place = found[behind.pk].place
    assert place is not None and place.number == 1


def test_the_page_shows_the_question_and_its_options_as_text(unit: Unit) -> None:
    text = page(signed_in("otto"), f"/jobs/{unit.job_id}/")
    assert "waits for you" in text and "Send it to &lt;vera&gt;?" in text
    assert [option for option in ("Approve", "Refuse", "Skip") if f">{option}</button>" not in text] == []
    assert "waits for you" in page(signed_in("otto"), "/jobs/")


def test_who_may_only_read_a_job_is_offered_no_answer(unit: Unit) -> None:
    Job.objects.update(shared=True)
    text = page(signed_in("vera"), f"/jobs/{unit.job_id}/")
    assert "Send it to &lt;vera&gt;?" in text and ">Approve</button>" not in text


def test_an_answer_by_the_page_is_taken_and_one_that_comes_too_late_is_told(unit: Unit) -> None:
    client = signed_in("otto")
    path = f"/jobs/{unit.job_id}/questions/{Question.objects.get().pk}/"
    for _ in range(2):
        response = client.post(path, {"option": "skip", "bound_to": HASH})
    first, second = (str(message) for message in get_messages(response.wsgi_request))
    assert first.startswith("Your answer") and second.startswith("Not done: this was answered already")
    unit.refresh_from_db()
    assert unit.state == "skipped"
    assert 'name="option"' not in page(client, f"/jobs/{unit.job_id}/")
