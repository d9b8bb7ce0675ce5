"""Flower by way of the hub, with a real Flower and a unit that really failed."""

from __future__ import annotations

import os
from typing import Any

import httpx
import pytest

from clustercore.access.models import AuditEntry
from clustercore.jobs.models import Attempt, Job, Unit
from clustercore.project.celery import app
from clustercore.project.flower.process import socket_path, wanted_path
from tests.cast import LAPTOP, WORKSTATION
from tests.faults.waiting import until
from tests.people import token_of
from tests.web.browser import Browser
from tests.web.hub import Hub, flower_answers
from transcription.services.submit import Wishes, submit_transcription

pytestmark = [pytest.mark.services, pytest.mark.timeout(300)]


@pytest.fixture
def hub_with_flower(hub: Hub) -> Hub:
    until(lambda: flower_answers(hub.cluster.data_directory), 60, "Flower does not answer on its socket")
    until(workers_tell_of_tasks, 60, "Flower has not asked the workers for their tasks")
    return hub


def workers_tell_of_tasks() -> bool:
    """Whether Flower has reached all workers, those too that joined after it."""
    answers = app.control.enable_events(reply=True, timeout=3) or []
    told = [said.get("ok") for answer in answers for said in answer.values()]
    return bool(told) and set(told) == {"task events already enabled"}


def failed_unit(hub: Hub) -> Unit:
    """The cutting of a file that is no recording."""
    path = hub.cluster.directory / "notes.mp3"
    path.write_bytes(b"this is text, whatever its name says\n" * 200)
    job, _ = submit_transcription(None, path, path.name, Wishes(language="en"))
    assert hub.cluster.until_ended(job) == "failed"
    return Unit.objects.get(job=job, stage="cut")


def task_of(client: httpx.Client, unit: Unit) -> dict[str, Any]:
    """What Flower knows of the bell that was rung for a unit."""

    def found() -> dict[str, Any] | None:
        tasks: dict[str, dict[str, Any]] = client.get("/flower/api/tasks").json()
        return next((task for task in tasks.values() if f"unit {unit.pk} of" in str(task["exception"])), None)

    return until(found, 30, f"Flower does not show unit {unit.pk}")


def test_it_is_for_administrators_only(hub_with_flower: Hub) -> None:
    stranger = httpx.get(f"{hub_with_flower.url}/flower/tasks")
    assert (stranger.status_code, stranger.headers["location"]) == (302, "/sign-in/?next=%2Fflower%2Ftasks")
    for name in ("vera", "otto"):
        with hub_with_flower.signed_in(name) as client:
            assert client.get("/flower/").status_code == 403
            assert client.post("/flower/api/worker/shutdown/x").status_code == 403
    with hub_with_flower.signed_in("ada") as client:
        assert "Flower" in client.get("/flower/").text


def test_it_shows_every_worker_as_online(hub_with_flower: Hub) -> None:
    hub_with_flower.cluster.start(WORKSTATION, LAPTOP)
    with hub_with_flower.signed_in("ada") as client:

        def online() -> set[str]:
            workers = client.get("/flower/workers?json=1").json()["data"]
            return {worker["hostname"].split("@")[0] for worker in workers if worker["status"]}

        until(lambda: online() >= {WORKSTATION, LAPTOP}, 60, lambda: f"only {online()} are online")


def test_a_failed_unit_is_a_failed_task_that_says_why_and_where_to_retry_it(hub_with_flower: Hub) -> None:
    unit = failed_unit(hub_with_flower)
    with hub_with_flower.signed_in("ada") as client:
        task = task_of(client, unit)
        assert (task["name"], task["state"], task["args"]) == ("transcription.cut", "FAILURE", f"({unit.pk},)")
        shown = client.get(f"/flower/task/{task['uuid']}").text
    assert "This is not a recording" in shown
    assert f"/admin/jobs/unit/{unit.pk}/change/" in shown


def test_nothing_of_ours_is_passed_on_and_nothing_of_its_own_is_set(hub_with_flower: Hub) -> None:
    with hub_with_flower.signed_in("ada") as client:
        before = dict(client.cookies)
        page = client.get("/flower/tasks")
        assert dict(client.cookies) == before
        assert "set-cookie" not in page.headers
        assert "server" not in page.headers
        style = client.get("/flower/static/css/flower.css")
        assert style.headers["content-type"].startswith("text/css")
        again = client.get("/flower/static/css/flower.css", headers={"If-None-Match": style.headers["etag"]})
        assert again.status_code == 304


def test_what_it_changes_must_come_from_this_site_and_is_recorded(hub_with_flower: Hub) -> None:
    deed = "/flower/api/task/revoke/no-such-task"
    before = AuditEntry.objects.count()
    with hub_with_flower.signed_in("ada") as client:
        client.headers.pop("Origin")
        recorded = AuditEntry.objects.count()
        assert client.post(deed).status_code == 403
        assert client.post(deed, headers={"Origin": "https://evil.example"}).status_code == 403
        own = {"Origin": hub_with_flower.url, "Sec-Fetch-Site": "cross-site"}
        assert client.post(deed, headers=own).status_code == 403
        assert AuditEntry.objects.count() == recorded > before
        assert client.post(deed, headers={"Origin": hub_with_flower.url}).status_code == 200
    entry = AuditEntry.objects.get(action="flower.asked")
    assert (entry.actor, entry.target) == ("ada", "api/task/revoke/no-such-task")


def test_no_token_opens_it(hub_with_flower: Hub) -> None:
    header = {"Authorization": f"Bearer {token_of('ada')}"}
    assert httpx.get(f"{hub_with_flower.url}/flower/api/workers", headers=header).status_code == 403


def test_without_flower_a_person_is_told_how_to_have_it_back(hub_with_flower: Hub) -> None:
    socket = socket_path(hub_with_flower.cluster.data_directory)
    aside = socket.with_suffix(".aside")
    socket.rename(aside)
    try:
        with hub_with_flower.signed_in("ada") as client:
            answer = client.get("/flower/")
    finally:
        aside.rename(socket)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
    assert "--no-flower" in answer.text


def test_where_it_is_started_on_demand_a_person_is_told_that_it_starts_and_asked_to_come_again(
    hub_with_flower: Hub,
) -> None:
    directory = hub_with_flower.cluster.data_directory
    socket, wanted = socket_path(directory), wanted_path(directory)
    aside = socket.with_suffix(".aside")
    socket.rename(aside)
    wanted.touch()
    os.utime(wanted, (0, 0))
    try:
        with hub_with_flower.signed_in("ada") as client:
            answer = client.get("/flower/tasks")
        assert wanted.stat().st_mtime > 0
        with hub_with_flower.signed_in("vera") as client:
            os.utime(wanted, (0, 0))
            assert client.get("/flower/").status_code == 403
        assert wanted.stat().st_mtime == 0, "who may not see it starts it"
    finally:
        aside.rename(socket)
        wanted.unlink()
    assert (answer.status_code, answer.headers["refresh"]) == (503, "2")
    assert "Flower is starting" in answer.text


def test_a_person_goes_from_flower_to_the_unit_and_retries_it(browser: Browser, hub_with_flower: Hub) -> None:
    """Find it, see why, retry it: in Flower as far as Flower goes, then in the admin."""
    unit = failed_unit(hub_with_flower)
    with hub_with_flower.signed_in("ada") as client:
        task_of(client, unit)
    browser.sign_in("ada")
    browser.open("/flower/tasks")
    browser.find("button[data-task-state=FAILURE]").click()

    def opened() -> bool:
        for row in browser.all("#tasks-table tbody tr"):
            if f"unit {unit.pk} of" in row.text:
                row.find_element("css selector", "a[href^='/flower/task/']").click()
                return True
        return False

    browser.until(opened, "the failed task is not in the list")
    browser.until(lambda: browser.path.startswith("/flower/task/"), "the task's page does not open")
    address = f"/admin/jobs/unit/{unit.pk}/change/"
    browser.until_text(address)
    browser.open(address)
    browser.until_text("This is not a recording")
    retry_in_admin(browser, unit)


def test_a_person_finds_a_failed_unit_in_the_admin_sees_why_and_retries_it(browser: Browser, hub: Hub) -> None:
    unit = failed_unit(hub)
    browser.sign_in("ada")
    browser.open("/admin/jobs/unit/?state__exact=failed")
    browser.until_text("This is not a recording")
    retry_in_admin(browser, unit)


def retry_in_admin(browser: Browser, unit: Unit) -> None:
    """By the action of the list; a second attempt is made, and it fails for the same reason."""
    tried = Attempt.objects.filter(unit=unit).count()
    browser.open(f"/admin/jobs/unit/?q={unit.pk}&state__exact=failed")
    browser.find(f"input.action-select[value='{unit.pk}']").click()
    browser.run(
        "const choice = document.querySelector('select[name=action]'); choice.value = 'requeue';"
        "choice.dispatchEvent(new Event('change', {bubbles: true})); choice.form.requestSubmit();"
    )
    browser.until_text("done: 1")
    until(
        lambda: Attempt.objects.filter(unit=unit).count() > tried and Job.objects.get(pk=unit.job_id).state == "failed",
        30,
        "the unit was not tried again",
    )
    assert AuditEntry.objects.filter(action="unit.requeue", target=f"unit {unit.pk} of job {unit.job_id}").exists()
