"""What every request passes: names, origins, headers, limits, and the shape of what goes wrong."""

from __future__ import annotations

import logging
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
import redis
from asgiref.sync import async_to_sync
from django.db import connection, connections
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client
from django.urls import path

from clustercore.access.adapters import counters
from clustercore.access.domain.roles import Permission
from clustercore.access.http.identification import require
from clustercore.access.http.refusals import RequestRefused
from clustercore.project import urls
from clustercore.project.middleware.headers import EXCEPTIONS, OWN_PAGES, policy_of
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
        answer = Client(raise_request_exception=False).get(path)
        assert (answer.status_code, answer.json()["error"]["type"]) == (500, "api_error")
        assert answer["x-request-id"] in answer.json()["error"]["message"]
        assert "secret" not in answer.content.decode()

    @pytest.mark.usefixtures("more_views")
    def test_a_bug_shows_people_a_page_with_the_number_that_the_log_has(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.ERROR):
            answer = Client(raise_request_exception=False).get("/broken")
        assert answer.status_code == 500
        assert "secret" not in answer.content.decode()
        assert answer["x-request-id"] in answer.content.decode()
        assert answer["x-request-id"] in caplog.text

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

    def test_each_answer_has_a_number_of_its_own(self) -> None:
        numbers = {
            Client().get(path)["x-request-id"] for path in (ME, "/", "/healthz", "/none", "/static/clustercore/app.css")
        }
        assert len(numbers) == 5


class TestHosts:
    @pytest.mark.parametrize(
        "host", ["localhost:8000", "127.0.0.1:7420", "192.168.1.10", "[::1]:8000", "hub.home.arpa"]
    )
    def test_our_own_names_and_every_address_are_served(self, host: str, settings: Any) -> None:
        settings.ALLOWED_NAMES = (".home.arpa",)
        assert Client().get("/sign-in/", HTTP_HOST=host).status_code == 200

    def test_the_name_of_the_hubs_url_is_served(self, settings: Any) -> None:
        settings.HUB_URL = "https://hub.example.org:8443"
        assert Client().get("/sign-in/", HTTP_HOST="hub.example.org").status_code == 200

    @pytest.mark.parametrize("path", ["/", "/sign-in/", "/admin/", ME, "/v1/models", "/metrics"])
    def test_a_strangers_name_for_our_address_is_turned_away_with_the_remedy(self, path: str) -> None:
        answer = signed_in("ada").get(path, HTTP_HOST="rebound.example")
        assert answer.status_code == 421
        assert "CLUSTERCORE_ALLOWED_HOSTS" in answer.content.decode()
        assert "ada" not in answer.content.decode()

    @pytest.mark.parametrize("host", ["a b", "hub/x", "user@hub", ""])
    def test_a_malformed_name_is_400(self, host: str) -> None:
        assert Client().get("/", HTTP_HOST=host).status_code == 400

    @pytest.mark.parametrize("path", ["/healthz", "/readyz", f"/blobs/{'0' * 64}"])
    def test_nodes_and_probes_use_the_name_they_were_given(self, path: str) -> None:
        assert Client().get(path, HTTP_HOST="whatever.example").status_code not in (400, 421)

    @pytest.mark.parametrize(
        "origin", ["https://evil.example", "null", "http://testserver:81", "http://testserver.evil.example"]
    )
    @pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
    def test_a_foreign_page_changes_nothing_with_our_cookies(self, method: str, origin: str) -> None:
        for address in ("/people/", "/api/v1/tokens", "/v1/audio/transcriptions"):
            answer = getattr(signed_in("ada"), method)(address, HTTP_ORIGIN=origin)
            assert answer.status_code == 403

    def test_a_form_without_its_csrf_token_changes_nothing(self) -> None:
        client = signed_in("ada", enforce_csrf_checks=True)
        for address in ("/people/", "/sign-out/", "/account/tokens/"):
            page = client.post(address, {"name": "x", "role": "viewer"})
            assert page.status_code == 403
        assert "load the page again" in page.content.decode()
        assert client.post("/api/v1/tokens", {}, content_type="application/json").status_code == 403

    def test_a_program_with_a_token_may_come_from_any_origin(self) -> None:
        answer = Client().get(ME, HTTP_ORIGIN="https://tool.example", **bearing(token_of("vera")))
        assert answer.status_code == 200

    def test_only_a_trusted_proxy_can_say_that_it_speaks_tls(self, settings: Any) -> None:
        settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
        settings.TRUSTED_PROXIES = ["10.0.0.2"]
        tls: dict[str, Any] = {"HTTP_X_FORWARDED_PROTO": "https"}
        trusted = Client().get("/sign-in/", REMOTE_ADDR="10.0.0.2", **tls)
        claimed = Client().get("/sign-in/", REMOTE_ADDR="192.0.2.1", **tls)
        assert [bool(answer.cookies["csrftoken"]["secure"]) for answer in (trusted, claimed)] == [True, False]


class TestHeaders:
    @pytest.mark.parametrize("path", ["/sign-in/", ME, "/none", "/healthz", "/static/clustercore/app.css"])
    def test_every_answer_tells_browsers_what_to_refuse(self, path: str) -> None:
        answer = Client().get(path)
        policy = answer["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert answer["X-Frame-Options"] == "DENY"
        assert answer["Referrer-Policy"] == "same-origin"
        assert answer["Cross-Origin-Opener-Policy"] == "same-origin"
        assert "camera=()" in answer["Permissions-Policy"]

    def test_only_the_listed_third_party_pages_run_scripts_in_the_page(self) -> None:
        assert set(EXCEPTIONS) == {"/admin/", "/flower/", "/api/v1/docs"}
        for prefix, policy in EXCEPTIONS.items():
            assert "style-src 'self' 'unsafe-inline'" in policy_of(f"{prefix}x")
            assert {name: policy[name] for name in OWN_PAGES} == OWN_PAGES

    def test_our_own_pages_have_no_script_or_style_in_them(self) -> None:
        for page in ("/sign-in/", "/account/", "/people/", "/none"):
            text = (
                signed_in("ada").get(page).content.decode()
                if page != "/sign-in/"
                else Client().get(page).content.decode()
            )
            assert "<style" not in text and " style=" not in text and " onclick=" not in text
            assert all("src=" in tag.partition(">")[0] for tag in text.split("<script")[1:])


class TestLimits:
    @pytest.fixture(autouse=True)
    def twenty_a_minute(self, settings: Any) -> None:
        settings.REQUESTS_PER_MINUTE = 20

    def test_of_fifty_clients_at_once_exactly_twenty_are_served(self) -> None:
        token = token_of("vera")

        def ask(_number: int) -> int:
            try:
                status: int = Client().get(ME, **bearing(token)).status_code
                return status
            finally:
                connections.close_all()

        with ThreadPoolExecutor(50) as pool:
            assert Counter(pool.map(ask, range(50))) == {200: 20, 429: 30}

    def test_the_asynchronous_stack_counts_alike(self) -> None:
        token = token_of("vera")

        async def ask() -> list[int]:
            client, headers = AsyncClient(), {"Authorization": f"Bearer {token}"}
            return [(await client.get(ME, headers=headers)).status_code for _ in range(25)]

        assert Counter(async_to_sync(ask)()) == {200: 20, 429: 5}

    def test_who_is_refused_is_told_how_long_to_wait(self) -> None:
        for _ in range(20):
            Client().get("/v1/none")
        answer = Client().get("/v1/none")
        assert (answer.status_code, answer.json()["error"]["type"]) == (429, "rate_limit_error")
        assert 0 < int(answer["Retry-After"]) <= 60

    def test_one_person_has_one_limit_however_many_tokens(self) -> None:
        tokens = [token_of("vera") for _ in range(3)]
        answers = [Client().get(ME, **bearing(tokens[number % 3])).status_code for number in range(30)]
        assert Counter(answers) == {200: 20, 429: 10}
        assert Client().get(ME, **bearing(token_of("otto"))).status_code == 200

    def test_guesses_of_tokens_count_by_address_whatever_is_claimed(self) -> None:
        answers = [
            Client().get(ME, HTTP_X_FORWARDED_FOR=f"203.0.113.{number}", **bearing(f"cc_{number}")).status_code
            for number in range(30)
        ]
        assert Counter(answers) == {401: 20, 429: 10}

    def test_pages_are_not_counted(self) -> None:
        client = signed_in("vera")
        assert {client.get("/account/").status_code for _ in range(25)} == {200}

    def test_work_goes_on_while_redis_is_away(self, monkeypatch: pytest.MonkeyPatch) -> None:
        away = redis.Redis(host="127.0.0.1", port=1, socket_connect_timeout=0.1)
        monkeypatch.setattr(counters, "client", lambda: away)
        token = token_of("vera")
        assert {Client().get(ME, **bearing(token)).status_code for _ in range(3)} == {200}


@pytest.mark.usefixtures("more_views")
@pytest.mark.parametrize(("address", "with_trace"), [("/unreachable", False), ("/locked-out", True)])
def test_what_the_ledger_refused_is_in_the_log_with_the_place_and_its_absence_without(
    address: str, with_trace: bool, caplog: pytest.LogCaptureFixture
) -> None:
    assert Client().get(address).status_code == 503
    [told] = [record for record in caplog.records if record.name.endswith("middleware.errors")]
    assert bool(told.exc_info) is with_trace
