"""The first page: the cluster now, for whoever may look."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from clustercore.jobs.models import Job
from tests.cast import PI, WORKSTATION, start_node
from tests.people import person

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]


def page(name: str, address: str = "/") -> str:
    client = Client()
    client.force_login(person(name))
    response = client.get(address)
    assert response.status_code == 200, response.content[:500]
    return str(response.content.decode())


def job(title: str, owner: str, **changes: Any) -> Job:
    made = {"kind": "transcription", "created": "2026-11-21T12:00:00Z", "state": "running", **changes}
    return Job.objects.create(title=title, owner=person(owner), **made)


def test_a_fresh_cluster_teaches_how_to_begin() -> None:
    text = page("otto")
    assert "Begin here" in text
    assert "clustercore node</code>" in text
    assert 'href="/transcribe/"' in text


def test_a_viewer_of_a_fresh_cluster_is_not_told_to_do_what_they_may_not() -> None:
    text = page("vera")
    assert "Begin here" in text
    assert 'href="/transcribe/"' not in text


def test_it_shows_what_runs_waits_failed_and_came_out_and_the_machines() -> None:
    start_node(WORKSTATION)
    start_node(PI)
    job("runs now", "otto", waiting="no live node hears language 'pl': `clustercore models pull faster-whisper:small`")
    job("came out", "otto", state="done", finished="2026-11-21T12:05:00Z")
    job("went wrong", "otto", state="failed", error="no memory", finished=timezone.now())
    text = page("otto")
    for shown in ("runs now", "came out", "went wrong", "no memory", "workstation", "pi"):
        assert shown in text
    assert "<code>clustercore models pull faster-whisper:small</code>" in text
    assert "Begin here" not in text


def test_others_jobs_do_not_show() -> None:
    job("mine alone", "otto")
    job("failed alone", "otto", state="failed", error="secret reason")
    text = page("vera")
    assert "mine alone" not in text
    assert "failed alone" not in text
    assert "secret reason" not in text


@pytest.mark.parametrize(
    ("name", "entries"),
    [
        ("vera", {"/", "/jobs/", "/nodes/"}),
        ("otto", {"/", "/jobs/", "/transcribe/", "/nodes/"}),
        ("ada", {"/", "/jobs/", "/transcribe/", "/nodes/", "/people/", "/audit/", "/admin/", "/flower/"}),
    ],
)
def test_the_navigation_offers_what_one_may_open_and_marks_where_one_is(name: str, entries: set[str]) -> None:
    text = page(name)
    nav = text[text.index("<nav") : text.index("</nav>")]
    assert set(re.findall(r'href="([^"]+)"', nav)) == entries
    assert re.findall(r'href="([^"]+)" aria-current="page"', nav) == ["/"]


def test_pages_carry_no_styles_scripts_or_handlers_of_their_own() -> None:
    start_node(PI)
    job("one", "ada")
    done = job("two", "ada", state="done", finished="2026-11-21T12:05:00Z")
    for address in ("/", "/jobs/", f"/jobs/{done.pk}/", "/nodes/", "/nodes/pi/", "/transcribe/"):
        text = page("ada", address)
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|hx-on|javascript:", text), address
        assert not re.findall(r"<script(?![^>]*\ssrc=)", text), address


def test_a_user_without_a_role_is_told_what_to_do() -> None:
    user = person("vera")
    user.groups.clear()
    client = Client()
    client.force_login(user)
    response = client.get("/")
    assert response.status_code == 403
    assert "no role yet" in response.content.decode()
