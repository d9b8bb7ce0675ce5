"""A job of very many pieces: its page shows counts and some of them, goes through all, and stays live."""

from __future__ import annotations

import pytest
from django.db.models.functions import Now

from clustercore.jobs.models import Attempt, Job, Unit
from clustercore.jobs.services.control import cancel_job
from tests.cast import LAPTOP, WORKSTATION
from tests.people import person
from tests.web.browser import DESKTOP, PHONE, Browser
from tests.web.hub import Hub
from transcription.models import Recording

pytestmark = [pytest.mark.services, pytest.mark.timeout(420)]

PIECES, DONE, FAILED = 2_000, 1_200, 3
SERVED = {"engine": "faster-whisper", "model": "small", "rung": 3, "seconds": 1.5, "audio_seconds": 30.0}


def state_of(ordinal: int) -> str:
    return "done" if ordinal < DONE - FAILED else "failed" if ordinal < DONE else "queued"


@pytest.fixture
def wide(hub: Hub) -> Job:
    """Otto's, two thirds heard, and paused, so that nobody takes the rest."""
    job = Job.objects.create(
        kind="transcription", title="The archive of a year", stage="transcribe", language="en", state="paused",
        owner=person("otto"), created=Now(),
    )  # fmt: skip
    Recording.objects.create(job=job, blob="0" * 64, name=job.title, seconds=PIECES * 30.0)
    made = {"job": job, "capability": "stt", "created": Now()}
    Unit.objects.create(stage="cut", ordinal=0, state="done", **made)
    pieces = [
        Unit(stage="transcribe", ordinal=ordinal, state=state_of(ordinal), attempts_made=int(ordinal < DONE),
             error="no memory" if state_of(ordinal) == "failed" else "", **made)
        for ordinal in range(PIECES)
    ]  # fmt: skip
    heard = Unit.objects.bulk_create(pieces)[:DONE]
    Attempt.objects.bulk_create(
        Attempt(unit=unit, number=1, node_name=(LAPTOP, WORKSTATION)[unit.ordinal % 2], instance=job.key,
                outcome=state_of(unit.ordinal), lease_until=Now(), started=Now(), ended=Now(),
                served_by=SERVED if state_of(unit.ordinal) == "done" else {})
        for unit in heard
    )  # fmt: skip
    Unit.objects.create(stage="merge", ordinal=0, state="blocked", **made)
    return job


def numbers(browser: Browser, within: str) -> list[int]:
    """Of the pieces that are shown there."""
    found = browser.run(
        "return [...document.querySelectorAll(`${arguments[0]} .piece[aria-label]`)].map(one => one.ariaLabel)", within
    )
    return [int(label.partition(":")[0].split()[-1]) for label in found]


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_wide_job_is_counted_gone_through_and_followed(browser: Browser, wide: Job, size: tuple[int, int]) -> None:
    counts, group = f"#job-{wide.pk}-counts", f"#job-{wide.pk}-group"
    browser.resize(size)
    browser.sign_in("otto")
    browser.open(f"/jobs/{wide.pk}/")
    assert "1,197" in browser.text(counts)
    assert "no memory" in browser.text(f"{group}-trouble")
    assert numbers(browser, f"{group}-next")[0] == DONE + 1
    assert len(browser.all(".piece")) < 200
    assert browser.violations() == [] and browser.overflow() <= 0

    browser.run("arguments[0].click()", browser.find("#pieces-in-order button"))
    browser.until(lambda: numbers(browser, "#pieces-in-order") == list(range(1, 501)), "the first page is not shown")
    browser.run("arguments[0].click()", browser.find("#pieces-in-order a[rel=next]"))
    browser.until(lambda: numbers(browser, "#pieces-in-order") == list(range(501, 1001)), "there is no second page")
    assert browser.violations() == [] and browser.overflow() <= 0

    browser.run("window.untouched = true")
    cancel_job(wide.pk)
    browser.until_text("800", f"{counts} tr:nth-child(2) [data-label='Left out']")
    browser.until(lambda: browser.run("return arguments[0].hidden", browser.find(f"{group}-next")), "it stays in line")
    assert browser.run("return window.untouched") is True
