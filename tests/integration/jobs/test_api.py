"""Jobs by the API: what is seen, what is changed, and by whom."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from clustercore.access.domain.roles import Permission
from clustercore.access.models import AuditEntry
from clustercore.jobs.domain import presentation
from clustercore.jobs.models import Job, JobEvent, Unit
from clustercore.jobs.services.control import cancel_job
from tests.fakes.jobs.presentations import SUMS
from tests.integration.jobs.conftest import submitted, with_parts
from tests.people import person, token_of


def as_(name: str, *scopes: Permission) -> Client:
    """A program with a token of that person."""
    return Client(headers={"Authorization": f"Bearer {token_of(name, *scopes)}"})


def job_of(name: str | None, **changes: Any) -> Job:
    job = submitted(owner_id=person(name).pk if name else None)
    Job.objects.filter(pk=job.pk).update(**changes)
    return job


def message(response: Any) -> str:
    return str(response.json()["error"]["message"])


def ids(response: Any) -> list[int]:
    assert response.status_code == 200, response.content
    return [job["id"] for job in response.json()["results"]]


class TestTheList:
    def test_newest_first_a_page_at_a_time_and_nothing_twice_when_jobs_are_added_meanwhile(self) -> None:
        jobs = [job_of("otto").pk for _ in range(5)]
        client = as_("otto")
        first = client.get("/api/v1/jobs?limit=2").json()
        job_of("otto")
        second = client.get("/api/v1/jobs", {"limit": 2, "cursor": first["next_cursor"]}).json()
        third = client.get("/api/v1/jobs", {"limit": 2, "cursor": second["next_cursor"]}).json()
        pages = [[job["id"] for job in page["results"]] for page in (first, second, third)]
        assert pages == [[jobs[4], jobs[3]], [jobs[2], jobs[1]], [jobs[0]]]
        assert third["next_cursor"] is None

    def test_filters_narrow_it(self) -> None:
        failed = job_of("otto", state="failed", error="no memory", title="monday")
        shared = job_of("ada", shared=True, title="tuesday 100%")
        client = as_("otto")
        assert ids(client.get("/api/v1/jobs?state=failed")) == [failed.pk]
        assert ids(client.get("/api/v1/jobs?owner=me")) == [failed.pk]
        assert ids(client.get("/api/v1/jobs?kind=sums")) == [shared.pk, failed.pk]
        assert ids(client.get("/api/v1/jobs?kind=other")) == []
        assert ids(client.get("/api/v1/jobs?search=MEMORY")) == [failed.pk]
        assert ids(client.get("/api/v1/jobs?search=100%25")) == [shared.pk]
        assert ids(client.get("/api/v1/jobs?search=1_0")) == []
        assert ids(client.get("/api/v1/jobs?created_after=2999-01-01T00:00:00Z")) == []
        assert ids(client.get("/api/v1/jobs?created_before=2999-01-01T00:00:00Z")) == [shared.pk, failed.pk]

    @pytest.mark.parametrize(
        ("query", "named"),
        [
            ("limit=0", "limit"),
            ("limit=201", "limit"),
            ("limit=many", "limit"),
            ("limit=%C2%B2", "limit"),
            ("cursor=!!", "cursor"),
            ("cursor=YWJj", "cursor"),
            ("state=unheard", "state"),
            ("owner=otto", "owner"),
            ("created_after=yesterday", "created_after"),
            ("search=" + "x" * 101, "search"),
            ("search=%00", "search"),
        ],
    )
    def test_a_parameter_that_cannot_be_right_is_named(self, query: str, named: str) -> None:
        response = as_("vera").get(f"/api/v1/jobs?{query}")
        assert (response.status_code, response.json()["error"]["param"]) == (400, named)

    def test_the_number_of_queries_does_not_grow_with_the_list(self, django_assert_max_num_queries: Any) -> None:
        for _ in range(12):
            job_of("otto")
        client = as_("otto")
        with django_assert_max_num_queries(7):
            assert len(ids(client.get("/api/v1/jobs"))) == 12

    def test_failed_jobs_are_grouped_by_what_went_wrong(self) -> None:
        first = job_of("otto", state="failed", error="part 3: node pi-4 lost /var/lib/models/a.bin after 3.5 s")
        second = job_of("otto", state="failed", error="part 17: node pi-9 lost /srv/lib/b.bin after 12 s; part 18: z")
        other = job_of("otto", state="failed", error="the recording is empty")
        job_of("olga", state="failed", error="the recording is empty")
        job_of("otto", state="done")
        results = as_("otto").get("/api/v1/jobs/causes").json()["results"]
        assert [(group["jobs"], group["newest"]) for group in results] == [(2, [second.pk, first.pk]), (1, [other.pk])]
        assert results[0]["cause"] == "node pi-N lost /… after N s"


class TestOneJob:
    def test_it_tells_how_far_it_is_and_its_lists_are_read_a_page_at_a_time(self) -> None:
        job, units = with_parts(5, owner_id=person("otto").pk)
        Unit.objects.filter(pk=units[0].pk).update(state="done")
        client = as_("otto")
        body = client.get(f"/api/v1/jobs/{job.pk}").json()
        assert body["units"] == {"done": 1, "running": 0, "failed": 0, "total": 5, "all_queued": True}
        assert (body["fraction"], body["owner"], body["facts"]) == (0.2, "otto", {"result": None})
        first = client.get(f"/api/v1/jobs/{job.pk}/units?limit=4").json()
        second = client.get(f"/api/v1/jobs/{job.pk}/units", {"limit": 4, "cursor": first["next_cursor"]}).json()
        stages = [(unit["stage"], unit["ordinal"]) for unit in first["results"] + second["results"]]
        assert stages == [("plan", 0), ("total", 0), *(("part", ordinal) for ordinal in range(5))]
        assert second["next_cursor"] is None
        events = client.get(f"/api/v1/jobs/{job.pk}/events").json()["results"]
        assert [event["name"] for event in events] == list(
            JobEvent.objects.filter(job=job).order_by("id").values_list("name", flat=True)
        )
        assert client.get(f"/api/v1/jobs/{job.pk}/attempts").json() == {"results": [], "next_cursor": None}

    def test_a_kind_brings_its_own_facts_and_says_where_its_result_is(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(presentation._PRESENTATIONS, "sums", SUMS)
        job = job_of("otto", state="done")
        body = as_("otto").get(f"/api/v1/jobs/{job.pk}").json()
        assert (body["facts"], body["result_url"]) == ({"addends": 3}, f"/sums/{job.pk}/")

    def test_reading_writes_nothing(self) -> None:
        job, client = job_of("otto"), as_("otto")
        client.get("/api/v1/jobs")
        before = (list(Job.objects.values()), list(Unit.objects.values()), JobEvent.objects.count())
        for path in ("", "/units", "/attempts", "/events"):
            assert client.get(f"/api/v1/jobs/{job.pk}{path}").status_code == 200
        assert before == (list(Job.objects.values()), list(Unit.objects.values()), JobEvent.objects.count())

    def test_what_has_not_changed_is_not_sent_again(self) -> None:
        job, client = job_of("otto"), as_("otto")
        cancel_job(job.pk)
        for path in ("/api/v1/jobs", f"/api/v1/jobs/{job.pk}"):
            first = client.get(path)
            tag = first["ETag"]
            assert set(first["Cache-Control"].split(", ")) == {"private", "no-cache"}
            again = client.get(path, headers={"If-None-Match": tag})
            assert (again.status_code, again.content) == (304, b"")
            assert again["ETag"] == tag
        Job.objects.filter(pk=job.pk).update(title="another")
        assert client.get(path, headers={"If-None-Match": tag}).status_code == 200


class TestDeeds:
    def test_pause_resume_cancel_retry_and_remove(self) -> None:
        job, client = job_of("otto"), as_("otto")
        states = []
        for verb in ("pause", "resume", "cancel", "retry", "cancel"):
            response = client.post(f"/api/v1/jobs/{job.pk}/{verb}")
            assert response.status_code == 200
            states.append(response.json()["state"])
        assert states == ["paused", "running", "cancelled", "running", "cancelled"]
        assert client.delete(f"/api/v1/jobs/{job.pk}").status_code == 204
        assert client.get(f"/api/v1/jobs/{job.pk}").status_code == 404
        written = AuditEntry.objects.filter(actor="otto", target=f"job {job.pk}").order_by("seq")
        assert [entry.action for entry in written][-2:] == ["job.cancel", "job.remove"]

    def test_what_the_state_does_not_allow_is_refused_in_words(self) -> None:
        job, client = job_of("otto"), as_("otto")
        for method, path, words in (
            ("post", "/resume", "only a paused job can be resumed"),
            ("post", "/retry", "nothing that failed"),
            ("delete", "", "cancel it first"),
        ):
            response = getattr(client, method)(f"/api/v1/jobs/{job.pk}{path}")
            assert response.status_code == 409
            assert words in message(response)
            assert response.json()["error"]["type"] == "conflict_error"
        assert not AuditEntry.objects.filter(target=f"job {job.pk}").exists()

    def test_title_priority_and_sharing_may_be_changed(self) -> None:
        job, client = job_of("otto"), as_("otto")
        change = {"title": "two\nlines\u0007", "priority": -100, "shared": True}
        body = client.patch(f"/api/v1/jobs/{job.pk}", change, content_type="application/json").json()
        assert (body["title"], body["priority"], body["shared"]) == ("two lines", -100, True)
        assert ids(as_("vera").get("/api/v1/jobs")) == [job.pk]

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("owner", "olga"),
            ("owner_id", 1),
            ("state", "done"),
            ("id", 1),
            ("error", "x"),
            ("priority", 999),
            ("priority", "high"),
            ("title", ""),
            ("title", "x" * 301),
            ("shared", "perhaps"),
        ],
    )
    def test_nothing_else_may_be_set_and_the_field_is_named(self, field: str, value: object) -> None:
        job = job_of("otto")
        before = Job.objects.values().get(pk=job.pk)
        response = as_("otto").patch(
            f"/api/v1/jobs/{job.pk}", {"title": "kept out too"} | {field: value}, content_type="application/json"
        )
        assert (response.status_code, response.json()["error"]["param"]) == (400, field)
        assert Job.objects.values().get(pk=job.pk) == before

    @pytest.mark.parametrize("body", ["[]", "7", "null", '"text"', "{", ""])
    def test_a_body_that_is_no_object_is_refused(self, body: str) -> None:
        job = job_of("otto")
        response = as_("otto").patch(f"/api/v1/jobs/{job.pk}", body, content_type="application/json")
        assert response.status_code == (200 if body == "" else 400)


PARTS = ("", "/units", "/attempts", "/events")
DEEDS = (
    ("post", "/cancel"),
    ("post", "/retry"),
    ("post", "/pause"),
    ("post", "/resume"),
    ("delete", ""),
    ("patch", ""),
)


class TestOtherPeoplesJobs:
    """A job that is not one's own is as one that is not there; one that is shared is there to look at."""

    @pytest.mark.parametrize("who", ["olga", "vera"])
    def test_nothing_of_it_is_seen_nor_counted(self, who: str) -> None:
        job, _ = with_parts(3, owner_id=person("otto").pk)
        Job.objects.filter(pk=job.pk).update(state="failed", error="secret cause", title="secret title")
        client = as_(who)
        unknown = client.get("/api/v1/jobs/999999999")
        for part in PARTS:
            response = client.get(f"/api/v1/jobs/{job.pk}{part}")
            assert response.status_code == 404
        assert message(client.get(f"/api/v1/jobs/{job.pk}")) == message(unknown).replace("999999999", str(job.pk))
        assert ids(client.get("/api/v1/jobs")) == []
        assert ids(client.get("/api/v1/jobs?search=secret")) == []
        assert client.get("/api/v1/jobs/causes").json() == {"results": []}
        assert sum(client.get("/api/v1/status").json()["jobs"].values()) == 0

    def test_nobody_else_changes_it(self) -> None:
        job, _ = with_parts(3, owner_id=person("otto").pk)
        before = Job.objects.values().get(pk=job.pk)
        for method, path in DEEDS:
            address = f"/api/v1/jobs/{job.pk}{path}"
            assert getattr(as_("olga"), method)(address).status_code == 404
            assert getattr(as_("vera"), method)(address).status_code == 403
            assert getattr(Client(), method)(address).status_code == 401
        assert Job.objects.values().get(pk=job.pk) == before

    def test_a_shared_one_is_read_by_all_and_changed_by_its_owner(self) -> None:
        job = job_of("otto", shared=True)
        for part in PARTS:
            assert as_("vera").get(f"/api/v1/jobs/{job.pk}{part}").status_code == 200
        for method, path in DEEDS:
            assert getattr(as_("olga"), method)(f"/api/v1/jobs/{job.pk}{path}").status_code == 403
        assert as_("otto").post(f"/api/v1/jobs/{job.pk}/pause").status_code == 200

    def test_an_administrator_does_what_the_owner_may(self) -> None:
        job, nobodys = job_of("otto"), job_of(None)
        assert ids(as_("ada").get("/api/v1/jobs")) == [nobodys.pk, job.pk]
        assert as_("ada").post(f"/api/v1/jobs/{job.pk}/cancel").status_code == 200
        assert as_("otto").get(f"/api/v1/jobs/{nobodys.pk}").status_code == 404

    def test_a_token_does_no_more_than_its_scopes_say(self) -> None:
        job = job_of("otto")
        looking = as_("otto", Permission.VIEW)
        assert looking.get(f"/api/v1/jobs/{job.pk}").status_code == 200
        assert looking.post(f"/api/v1/jobs/{job.pk}/cancel").status_code == 403
        assert ids(as_("ada", Permission.VIEW).get("/api/v1/jobs")) == []

    def test_a_session_changes_nothing_without_its_csrf_token(self) -> None:
        job = job_of("otto")
        browser = Client(enforce_csrf_checks=True)
        browser.force_login(person("otto"))
        refused = browser.post(f"/api/v1/jobs/{job.pk}/cancel")
        assert refused.status_code == 403
        assert "CSRF" in message(refused)
