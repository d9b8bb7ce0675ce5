"""A job asks while somebody watches it, and they answer on its page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db.models.functions import Now

from clustercore.jobs.domain.verdict import Ask
from clustercore.jobs.models import Job, Question, Unit
from clustercore.jobs.services.asking import ask
from clustercore.jobs.services.control import cancel_job
from tests.people import person
from tests.web.browser import DESKTOP, PHONE, Browser
from tests.web.hub import Hub

pytestmark = [pytest.mark.services, pytest.mark.timeout(420)]


@pytest.fixture
def unit(hub: Hub) -> Iterator[Unit]:
    """Otto's only piece of work, which is held and about to ask."""
    job = Job.objects.create(kind="transcription", title="a letter", stage="cut", owner=person("otto"), created=Now())
    yield Unit.objects.create(job=job, stage="cut", ordinal=0, capability="none", state="held", created=Now())
    cancel_job(job.pk)


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_question_appears_while_the_job_is_watched_and_is_answered_there(
    browser: Browser, unit: Unit, size: tuple[int, int]
) -> None:
    browser.resize(size)
    browser.sign_in("otto")
    browser.open(f"/jobs/{unit.job_id}/")
    browser.find(f"#job-{unit.job_id}-status")
    ask(unit, Ask("Send it to vera?", ["approve", "refuse"], bound_to="2c26b46b68ffc68f"), None)
    browser.until(lambda: browser.all(f"#job-{unit.job_id}-questions button"), "nobody is asked")
    assert "waits for you" in browser.text(f"#job-{unit.job_id}-status").lower()
    assert browser.violations() == [] and browser.overflow() <= 0
    browser.run("arguments[0].click()", browser.find("button[value='refuse']"))
    browser.until_text("is taken: refuse")
    assert browser.all("button[name='option']") == []
    assert (Question.objects.get(unit=unit).answer, Unit.objects.get(pk=unit.pk).state) == ("refuse", "queued")
