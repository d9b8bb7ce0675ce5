"""The shape of what goes wrong."""

from __future__ import annotations

import logging
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path

from clustercore.access.domain.roles import Permission
from clustercore.access.http.identification import require
from clustercore.access.http.refusals import RequestRefused
from clustercore.project import urls
from tests.gate import stranger
from tests.people import person, token_of

pytestmark = [pytest.mark.services, pytest.mark.usefixtures("transactional_db", "redis_client")]
ME = "/api/v1/me"


def bearing(token: str) -> dict[str, Any]:
    return {"HTTP_AUTHORIZATION": f"Bearer {token}"}


def signed_in(name: str, **options: Any) -> Client:
    client = Client(**options)
    client.force_login(person(name))
    return client


def broken(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("a secret of the source")


def unreachable(request: HttpRequest) -> HttpResponse:
    with connection.wrap_database_errors, psycopg.connect("host=127.0.0.1 port=1 connect_timeout=5"):
        return HttpResponse()


def locked_out(request: HttpRequest) -> HttpResponse:
    with connection.cursor() as cursor:
        cursor.execute("DO $$ BEGIN RAISE SQLSTATE '55P03'; END $$")
    return HttpResponse()


def refusing(request: HttpRequest) -> HttpResponse:
    raise RequestRefused(503, "not just now", code="busy", retry_after=7)


def viewing(request: HttpRequest) -> HttpResponse:
    return HttpResponse(require(request, Permission.VIEW).name)


def reading(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(len(request.body)))


class Urls:
    handler400, handler403 = urls.handler400, urls.handler403
    handler404, handler500 = urls.handler404, urls.handler500
    urlpatterns = [
        path("unreachable", unreachable),
        path("locked-out", locked_out),
        *(path(f"{prefix}broken", broken) for prefix in ("", "api/v1/", "v1/")),
        *(path(f"{prefix}refusing", refusing) for prefix in ("", "api/v1/")),
        path("viewing", viewing),
        path("api/v1/reading", reading),
        *urls.urlpatterns,
    ]


@pytest.fixture
def more_views(settings: Any) -> None:
    settings.ROOT_URLCONF = Urls


class TestErrors:
    @pytest.mark.parametrize("path", ["/api/v1/none", "/api/none", "/v1/none", "/v1/audio", "/api/", "/v1/"])
    def test_an_unknown_address_for_programs_is_told_in_the_one_shape(self, path: str) -> None:
        answer = Client().get(path)
        assert (answer.status_code, answer.json()["error"]["type"]) == (404, "not_found_error")

    def test_an_unknown_address_for_people_is_a_page(self) -> None:
        answer = Client().get("/none")
        assert answer.status_code == 404
        assert "There is nothing here" in answer.content.decode()

    def test_a_method_that_is_not_taken_is_told_with_those_that_are(self) -> None:
        answer = Client().put(ME, **bearing(token_of("vera")))
        assert (answer.status_code, answer.json()["error"]["type"]) == (405, "method_not_allowed")
        assert "GET" in answer["Allow"]

    @pytest.mark.usefixtures("more_views")
    @pytest.mark.parametrize("debug", [False, True])
    @pytest.mark.parametrize("path", ["/api/v1/broken", "/v1/broken"])
    def test_a_bug_shows_programs_nothing_of_the_source(self, path: str, debug: bool, settings: Any) -> None:
        settings.DEBUG = debug
        answer = stranger().ask(path)
        assert (answer.status_code, answer.json()["error"]["type"]) == (500, "api_error")
        assert answer.headers["x-request-id"] in answer.json()["error"]["message"]
        assert "secret" not in answer.text

    @pytest.mark.usefixtures("more_views")
    def test_a_bug_shows_people_a_page_with_the_number_that_the_log_has(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.ERROR):
            answer = stranger().ask("/broken")
        assert answer.status_code == 500
        assert "secret" not in answer.text
        assert answer.headers["x-request-id"] in answer.text
        assert answer.headers["x-request-id"] in caplog.text

    @pytest.mark.usefixtures("more_views")
    def test_a_refusal_is_json_for_programs_and_a_page_for_people(self) -> None:
        program, page = Client().get("/api/v1/refusing"), Client().get("/refusing")
        assert (program.status_code, page.status_code) == (503, 503)
        assert program["Retry-After"] == page["Retry-After"] == "7"
        assert program.json()["error"] == {
            "message": "not just now",
            "type": "service_unavailable",
            "param": None,
            "code": "busy",
        }
        assert "Not just now" in page.content.decode()

    @pytest.mark.usefixtures("more_views")
    def test_a_body_that_is_too_large_is_413_in_the_one_shape(self, settings: Any) -> None:
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
        answer = Client().post("/api/v1/reading", b"x" * 11, content_type="application/octet-stream")
        assert (answer.status_code, answer.json()["error"]["type"]) == (413, "request_too_large")

    @pytest.mark.usefixtures("more_views")
    def test_a_page_sends_strangers_to_sign_in_and_back(self) -> None:
        assert Client().get("/viewing?a=1")["Location"] == "/sign-in/?next=%2Fviewing%3Fa%3D1"
        assert signed_in("vera").get("/viewing").content == b"vera"

    @pytest.mark.usefixtures("more_views")
    def test_a_page_with_a_dead_token_is_refused_and_does_not_break(self) -> None:
        assert Client().get("/viewing", **bearing("cc_wrong")).status_code == 302
        assert Client().post("/refusing", **bearing("cc_wrong")).status_code == 503

    def test_the_description_of_the_api_sends_browsers_to_sign_in_and_programs_away(self) -> None:
        browser = Client().get("/api/v1/docs", HTTP_ACCEPT="text/html,*/*;q=0.8")
        assert (browser.status_code, browser["Location"]) == (302, "/sign-in/?next=%2Fapi%2Fv1%2Fdocs")
        assert Client().get("/api/v1/docs").status_code == 401


@pytest.mark.usefixtures("more_views")
@pytest.mark.parametrize(("address", "with_trace"), [("/unreachable", False), ("/locked-out", True)])
def test_what_the_ledger_refused_is_in_the_log_with_the_place_and_its_absence_without(
    address: str, with_trace: bool, caplog: pytest.LogCaptureFixture
) -> None:
    assert Client().get(address).status_code == 503
    [told] = [record for record in caplog.records if record.name.endswith("middleware.errors")]
    assert bool(told.exc_info) is with_trace
