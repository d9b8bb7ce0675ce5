"""The page of the audit log: for administrators alone, in pages, and plain about whether the log holds."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client

from clustercore.access.services import audit_verification
from clustercore.access.services.audit import record
from tests.people import identity, person, token_of

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]
MARKUP = "<script>alert(1)</script>"


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is known of a log yet."""
    monkeypatch.setattr(audit_verification, "_known", audit_verification._Known())


@pytest.fixture
def ada(client: Client) -> Client:
    client.force_login(person("ada"))
    return client


def text_of(client: Client, **query: Any) -> str:
    response = client.get("/audit/", query)
    assert response.status_code == 200
    return response.content.decode()


@pytest.mark.parametrize(("name", "status"), [("vera", 403), ("otto", 403), ("ada", 200)])
def test_only_administrators_read_it(client: Client, name: str, status: int) -> None:
    client.force_login(person(name))
    assert client.get("/audit/").status_code == status
    assert client.post("/audit/verify/").status_code == (302 if status == 200 else 403)
    bearer = {"Authorization": f"Bearer {token_of(name)}"}
    assert Client(headers=bearer).get("/audit/").status_code == status


def test_a_stranger_is_led_to_the_sign_in_page(client: Client) -> None:
    response = client.get("/audit/")
    assert response.status_code == 302
    assert response["Location"].startswith("/sign-in/")


def test_an_entry_is_shown_as_text_whatever_it_holds(ada: Client) -> None:
    record(identity("otto"), "job.cancel", MARKUP, reason=MARKUP, pieces=[1, 2])
    page = text_of(ada)
    assert MARKUP not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 2
    assert "[1,2]" in page
    assert "entries 1 to" in page.lower()


def test_it_is_narrowed_by_who_did_what_to_what(ada: Client) -> None:
    for number in (7, 70):
        record(identity("otto"), "job.cancel", f"job {number}", note=f"otto-{number}")
    record(identity("olga"), "job.retry", "job 7", note="olga-7")
    for query, shown, hidden in [
        ({"actor": "otto"}, {"otto-7", "otto-70"}, {"olga-7"}),
        ({"action": "job.retry"}, {"olga-7"}, {"otto-7<"}),
        ({"action": "job"}, {"otto-7", "otto-70", "olga-7"}, set()),
        ({"target": "job 7"}, {"otto-7<", "olga-7"}, {"otto-70"}),
        ({"actor": "nobody"}, {"Nothing fits"}, {"otto-7"}),
        ({"target": "job 7\0"}, {"olga-7"}, {"otto-70"}),
    ]:
        page = text_of(ada, **query)
        assert all(words in page for words in shown), query
        assert not any(words in page for words in hidden), query


def test_pages_follow_each_other_without_gap_or_repetition(ada: Client) -> None:
    for number in range(120):
        record(identity("otto"), "job.cancel", f"job {number}")
    seen: list[int] = []
    response = ada.get("/audit/")
    while True:
        seen += [entry.seq for entry, _ in response.context["rows"]]
        if not response.context["more"]:
            break
        # What is added meanwhile moves nothing.
        record(identity("olga"), "job.retry", "job 1")
        response = ada.get(response.context["more"])
    assert seen == list(range(120, 0, -1))


@pytest.mark.parametrize("before", ["x", "-1", "1" * 40, "\0"])
def test_a_page_that_cannot_be_is_refused(ada: Client, before: str) -> None:
    assert ada.get("/audit/", {"before": before}).status_code == 400


def test_a_log_that_was_changed_is_said_and_reading_it_again_names_the_entry(ada: Client) -> None:
    for number in range(3):
        record(identity("otto"), "job.cancel", f"job {number}")
    assert "The log is intact" in text_of(ada)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE access_auditentry DISABLE TRIGGER access_audit_rows_stay")
        cursor.execute("UPDATE access_auditentry SET actor = 'nobody' WHERE seq = 2")
        cursor.execute("ALTER TABLE access_auditentry ENABLE ALWAYS TRIGGER access_audit_rows_stay")
    page = ada.post("/audit/verify/", follow=True).content.decode()
    assert "The log was changed" in page
    assert "entry 2: its content is not what was recorded" in page
