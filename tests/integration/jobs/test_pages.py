"""Pages of jobs: who sees what, what may be done, and what is shown of little, much, or something strange."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.db.models.functions import Now
from django.test import Client

from clustercore.access.models import AuditEntry
from clustercore.jobs.domain import presentation
from clustercore.jobs.models import Attempt, Job, Unit
from clustercore.jobs.services.control import cancel_job, pause_job
from tests.cast import PI, start_node
from tests.fakes.jobs.presentations import SUMS
from tests.integration.jobs.conftest import submitted, with_parts
from tests.people import person

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]
STRANGE = "<script>alert(1)</script> \u202egnp.exe\n{{ x }} " + "w" * 200


def as_(name: str) -> Client:
    client = Client()
    client.force_login(person(name))
    return client


def job_of(name: str | None, **changes: Any) -> Job:
    job = submitted(owner_id=person(name).pk if name else None)
    Job.objects.filter(pk=job.pk).update(**changes)
    return job


def failed_job(name: str, error: str) -> Job:
    job, units = with_parts(1, owner_id=person(name).pk)
    Unit.objects.filter(pk=units[0].pk).update(state="failed", error=error)
    Job.objects.filter(pk=job.pk).update(state="failed", error=error)
    return job


def page(client: Client, address: str, status: int = 200) -> str:
    response = client.get(address)
    assert response.status_code == status, response.content[:500]
    return str(response.content.decode())


def said(response: Any) -> str:
    return " ".join(str(message) for message in get_messages(response.wsgi_request))


class TestWhoSeesWhat:
    @pytest.mark.parametrize("address", ["/", "/jobs/", "/jobs/7/", "/nodes/", "/nodes/pi/"])
    def test_a_stranger_is_led_to_the_sign_in_and_back(self, address: str) -> None:
        response = Client().get(address)
        assert response.status_code == 302
        assert response.headers["Location"] == f"/sign-in/?next={address.replace('/', '%2F')}"

    def test_others_jobs_are_not_there_until_they_are_shared(self) -> None:
        job = job_of("otto", title="mine alone")
        assert "mine alone" in page(as_("otto"), f"/jobs/{job.pk}/")
        assert "mine alone" in page(as_("ada"), f"/jobs/{job.pk}/")
        for name in ("olga", "vera"):
            assert "mine alone" not in page(as_(name), f"/jobs/{job.pk}/", 404)
            assert "mine alone" not in page(as_(name), "/jobs/")
        Job.objects.filter(pk=job.pk).update(shared=True)
        assert "mine alone" in page(as_("vera"), f"/jobs/{job.pk}/")

    @pytest.mark.parametrize("job_id", ["0", "9223372036854775808", "9" * 400])
    def test_a_job_that_cannot_be_is_not_found(self, job_id: str) -> None:
        page(as_("ada"), f"/jobs/{job_id}/", 404)


class TestTheList:
    def test_an_empty_one_says_what_to_do_next(self) -> None:
        assert 'class="button button-primary" href="/transcribe/"' in page(as_("otto"), "/jobs/")
        assert "an operator may start jobs" in page(as_("vera"), "/jobs/")

    def test_failed_jobs_come_first_by_cause(self) -> None:
        for number in (1, 2):
            failed_job("otto", f"part {number}: no memory")
        job_of("otto", title="runs now")
        text = page(as_("otto"), "/jobs/")
        assert text.count('class="cause-head"') == 1
        assert "2 jobs" in text
        assert text.index("no memory") < text.index("runs now")

    def test_filters_and_search_narrow_it(self) -> None:
        bad = failed_job("otto", "no memory")
        other = job_of("ada", title="tuesday 100%", shared=True)
        client = as_("otto")
        for query, found in [
            ("state=failed", {bad.pk}),
            ("mine=yes", {bad.pk}),
            ("q=MEMORY", {bad.pk}),
            ("q=100%25", {other.pk}),
            ("q=%00", {bad.pk, other.pk}),
            (f"q={other.pk}", {other.pk}),
            ("q=" + "9" * 150, set()),
        ]:
            rows = re.findall(r'id="job-(\d+)-row"', page(client, f"/jobs/?{query}"))
            assert {int(row) for row in rows} == found, query

    def test_nothing_that_fits_says_so(self) -> None:
        text = page(as_("otto"), "/jobs/?q=<b>nowhere")
        assert "Nothing fits" in text
        assert "<b>nowhere" not in text

    @pytest.mark.parametrize("query", ["state=unheard", "before=x", "before=²", "before=" + "9" * 5000])
    def test_a_query_that_cannot_be_right_is_refused_in_words(self, query: str) -> None:
        response = as_("otto").get(f"/jobs/?{query}")
        assert response.status_code == 400
        assert query.partition("=")[0].title() in response.content.decode()

    def test_it_goes_on_where_the_page_ended_and_shows_nothing_twice(self) -> None:
        jobs = [job_of("otto", state="done").pk for _ in range(30)]
        client = as_("otto")
        first = page(client, "/jobs/")
        job_of("otto", state="done")
        more = re.search(r'hx-get="(/jobs/\?before=\d+)"', first)
        assert more is not None
        shown = [int(row) for text in (first, page(client, more[1])) for row in re.findall(r'id="job-(\d+)-row"', text)]
        assert shown == sorted(jobs, reverse=True)

    def test_the_number_of_queries_does_not_grow_with_it(self, django_assert_max_num_queries: Any) -> None:
        for _ in range(20):
            job_of("otto", state="done")
            job_of("otto")
        failed_job("otto", "no memory")
        client = as_("otto")
        with django_assert_max_num_queries(15):
            page(client, "/jobs/")

    def test_what_failed_days_ago_stands_in_nobodys_way_and_is_still_found(self) -> None:
        old, new = failed_job("otto", "the old disk was full"), failed_job("otto", "no memory")
        Job.objects.filter(pk=old.pk).update(finished=Now() - timedelta(days=2))
        Job.objects.filter(pk=new.pk).update(finished=Now())
        client = as_("otto")
        for address in ("/", "/jobs/"):
            text = page(client, address)
            assert "no memory" in text and "the old disk was full" not in text
            assert "/jobs/?state=failed" in text
        assert "the old disk was full" in page(client, "/jobs/?state=failed")

    def test_of_a_long_line_the_first_are_listed_and_the_others_counted(self) -> None:
        jobs = [job_of("otto") for _ in range(13)]
        text = page(as_("otto"), "/")
        assert [f'id="job-{job.pk}-row"' in text for job in jobs] == [True] * 10 + [False] * 3
        assert ">3 more</a>" in text
        assert "10th in line, start unknown" in text


class TestOneJob:
    def test_a_strange_title_is_only_text(self) -> None:
        job = job_of("otto", title=STRANGE, error="`<i>x</i>`", waiting="<b>w</b>", state="running")
        for address in (f"/jobs/{job.pk}/", "/jobs/", "/"):
            text = page(as_("otto"), address)
            assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
            for raw in ("<script>alert", "<i>x", "<b>w"):
                assert raw not in text
            assert f"<bdi>{STRANGE.split(maxsplit=1)[0].replace('<', '&lt;').replace('>', '&gt;')}" in text

    def test_it_shows_pieces_attempts_nodes_and_the_log(self) -> None:
        node = start_node(PI)
        job, units = with_parts(3, owner_id=person("otto").pk)
        begun = job.created
        served = {"engine": "vosk", "model": "en", "rung": 1, "seconds": 2.0, "audio_seconds": 30.0}
        Attempt.objects.create(
            unit=units[0],
            number=1,
            node=node,
            node_name=node.name,
            instance=node.instance,
            outcome="done",
            started=begun,
            ended=begun,
            lease_until=begun,
            served_by=served,
        )
        Unit.objects.filter(pk=units[0].pk).update(state="done", attempts_made=1, progress=1.0)
        text = page(as_("otto"), f"/jobs/{job.pk}/")
        assert text.count("data-roving-item") == 3
        assert f'id="unit-{units[0].pk}"' in text
        assert "Part 1: done, on pi, by vosk:en, in 2.0 s (15x real time)" in text
        assert 'class="bar node-0 bar-done"' in text
        assert "1 of 3" in text
        assert '<a class="node-link" href="/nodes/pi/">' in text

    def test_a_node_whose_name_fits_no_address_is_named_without_a_link(self) -> None:
        job, units = with_parts(1, owner_id=person("otto").pk)
        node = start_node(PI)
        Attempt.objects.create(
            unit=units[0],
            number=1,
            node_name="a/b",
            instance=node.instance,
            outcome="live",
            started=job.created,
            lease_until=job.created,
        )
        assert "a/b" in page(as_("otto"), f"/jobs/{job.pk}/")

    def test_it_says_why_it_waits_and_what_to_type(self) -> None:
        job = job_of("otto", waiting="no node is taking work: start one with `clustercore node`")
        assert "<code>clustercore node</code>" in page(as_("otto"), f"/jobs/{job.pk}/")

    def test_the_number_of_queries_does_not_grow_with_its_pieces(self, django_assert_max_num_queries: Any) -> None:
        job, _ = with_parts(120, owner_id=person("otto").pk)
        client = as_("otto")
        with django_assert_max_num_queries(18):
            page(client, f"/jobs/{job.pk}/")

    def test_a_kind_brings_its_part_of_the_page_and_its_result(
        self, monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Any
    ) -> None:
        (tmp_path / "jobs").mkdir()
        (tmp_path / "jobs" / "sums.html").write_text("{{ facts.addends }} numbers")
        settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [*settings.TEMPLATES[0]["DIRS"], tmp_path]}]
        monkeypatch.setitem(presentation._PRESENTATIONS, "sums", SUMS)
        job = job_of("otto", state="done")
        text = page(as_("otto"), f"/jobs/{job.pk}/")
        assert "3 numbers" in text
        assert f'href="/sums/{job.pk}/"' in text
        assert f'action="/jobs/{job.pk}/clone/"' in text
        cloned = as_("otto").post(f"/jobs/{job.pk}/clone/")
        assert (cloned.status_code, cloned.headers["Location"]) == (302, f"/sum/?from={job.pk}")


def offered(text: str, job: Job) -> set[str]:
    return set(re.findall(rf'(?:action|href)="/jobs/{job.pk}/(\w+)/"', text))


class TestWhatMayBeDone:
    def test_only_what_the_state_allows_is_offered(self) -> None:
        job = job_of("otto")
        client = as_("otto")
        for state, verbs in [
            ("running", {"pause", "share", "cancel"}),
            ("paused", {"resume", "share", "cancel"}),
            ("failed", {"retry", "share", "remove"}),
            ("cancelled", {"retry", "share", "remove"}),
            ("done", {"share", "remove"}),
        ]:
            Job.objects.filter(pk=job.pk).update(state=state)
            assert offered(page(client, f"/jobs/{job.pk}/"), job) == verbs, state

    @pytest.mark.parametrize("name", ["olga", "vera"])
    def test_who_may_only_read_is_offered_nothing_and_refused(self, name: str) -> None:
        job = job_of("otto", shared=True)
        client = as_(name)
        assert offered(page(client, f"/jobs/{job.pk}/"), job) == set()
        for verb in ("cancel", "pause", "share", "remove", "retry", "resume"):
            assert client.post(f"/jobs/{job.pk}/{verb}/").status_code == 403, verb
        job.refresh_from_db()
        assert (job.state, job.shared) == ("running", True)

    def test_what_one_may_not_see_is_not_there_to_act_on(self) -> None:
        job = job_of("otto")
        for verb in ("cancel", "pause", "share", "remove", "retry", "resume", "clone"):
            assert as_("olga").post(f"/jobs/{job.pk}/{verb}/").status_code == 404, verb

    def test_each_deed_is_done_said_and_recorded(self) -> None:
        job, _ = with_parts(2, owner_id=person("otto").pk)
        client = as_("otto")
        for verb, state in [("pause", "paused"), ("resume", "running"), ("cancel", "cancelled"), ("retry", "running")]:
            response = client.post(f"/jobs/{job.pk}/{verb}/")
            assert (response.status_code, response.headers["Location"]) == (302, f"/jobs/{job.pk}/")
            assert f"Job {job.pk}" in said(response)
            job.refresh_from_db()
            assert job.state == state
        done = list(AuditEntry.objects.order_by("seq").values_list("actor", "action", "target"))
        assert done == [("otto", f"job.{verb}", f"job {job.pk}") for verb in ("pause", "resume", "cancel", "retry")]

    def test_what_is_not_possible_is_said_with_the_reason(self) -> None:
        job = job_of("otto", state="done")
        response = as_("otto").post(f"/jobs/{job.pk}/pause/")
        assert "only a running job can be paused" in said(response)
        assert not AuditEntry.objects.exists()

    def test_sharing_and_its_end(self) -> None:
        job = job_of("otto")
        client = as_("otto")
        for answer, shared in (("yes", True), ("no", False)):
            client.post(f"/jobs/{job.pk}/share/", {"shared": answer})
            job.refresh_from_db()
            assert job.shared is shared

    @pytest.mark.parametrize("verb", ["cancel", "remove"])
    def test_what_cannot_be_undone_is_asked_before_without_a_script(self, verb: str) -> None:
        job = job_of("otto", title="think twice")
        if verb == "remove":
            cancel_job(job.pk)
        client = as_("otto")
        text = page(client, f"/jobs/{job.pk}/{verb}/")
        assert "think twice" in text
        assert Job.objects.filter(pk=job.pk).exists()
        client.post(f"/jobs/{job.pk}/{verb}/")
        left = Job.objects.filter(pk=job.pk).first()
        assert (left is None) if verb == "remove" else (left is not None and left.state == "cancelled")

    @pytest.mark.parametrize("verb", ["pause", "resume", "retry", "share", "clone"])
    def test_a_link_does_nothing(self, verb: str) -> None:
        job = job_of("otto")
        pause_job(job.pk)
        assert as_("otto").get(f"/jobs/{job.pk}/{verb}/").status_code == 405

    def test_a_form_from_elsewhere_does_nothing(self) -> None:
        job = job_of("otto")
        client = Client(enforce_csrf_checks=True)
        client.force_login(person("otto"))
        assert client.post(f"/jobs/{job.pk}/cancel/").status_code == 403
        job.refresh_from_db()
        assert job.state == "running"
