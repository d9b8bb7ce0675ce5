"""What every request passes before Django, once: names, origins, limits, who asks, and what every answer says."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import httpx
import pytest
import redis
from asgiref.sync import async_to_sync
from django.conf import settings as configuration
from django.db import OperationalError, ProgrammingError
from django.db.backends.utils import CursorWrapper

from clustercore.access.adapters import counters
from clustercore.access.http import identification
from clustercore.access.services.tokens import revoke_token
from clustercore.blobs.services import establish_hub
from clustercore.project.asgi import application
from clustercore.project.gate import wrapper
from clustercore.project.gate.headers import EXCEPTIONS, OWN_PAGES, policy_of
from tests.gate import Caller, bearer, signed_in, stranger
from tests.people import token_of

pytestmark = [pytest.mark.services, pytest.mark.usefixtures("transactional_db", "redis_client")]
ME = "/api/v1/me"
STYLES = "/static/clustercore/app.css"


class TestPlaces:
    @pytest.mark.parametrize(
        "host", ["localhost:8000", "127.0.0.1:7420", "192.168.1.10", "[::1]:8000", "hub.home.arpa"]
    )
    def test_our_own_names_and_every_address_are_served(self, host: str, settings: Any) -> None:
        settings.ALLOWED_NAMES = (".home.arpa",)
        assert stranger().ask("/sign-in/", headers={"Host": host}).status_code == 200

    def test_the_name_of_the_hubs_url_is_served(self, settings: Any) -> None:
        settings.HUB_URL = "https://hub.example.org:8443"
        assert stranger().ask("/sign-in/", headers={"Host": "hub.example.org"}).status_code == 200

    @pytest.mark.parametrize("path", ["/", "/sign-in/", "/admin/", ME, "/v1/models", "/metrics"])
    def test_a_strangers_name_for_our_address_is_turned_away_with_the_remedy(self, path: str) -> None:
        answer = signed_in("ada").ask(path, headers={"Host": "rebound.example"})
        assert answer.status_code == 421
        assert "CLUSTERCORE_ALLOWED_HOSTS" in answer.text
        assert "ada" not in answer.text

    @pytest.mark.parametrize("host", ["a b", "hub/x", "user@hub", ""])
    def test_a_malformed_name_is_400(self, host: str) -> None:
        assert stranger().ask("/", headers={"Host": host}).status_code == 400

    def test_a_name_that_is_sent_twice_hides_none_behind_the_other(self) -> None:
        headers = [("Host", "rebound.example"), ("Host", "testserver")]
        assert stranger().ask("/", headers=headers).status_code == 400

    @pytest.mark.parametrize("path", ["/healthz", "/readyz", f"/blobs/{'0' * 64}"])
    def test_nodes_and_probes_use_the_name_they_were_given(self, path: str) -> None:
        assert stranger().ask(path, headers={"Host": "whatever.example"}).status_code not in (400, 421)

    @pytest.mark.parametrize(
        "origin", ["https://evil.example", "null", "http://testserver:81", "http://testserver.evil.example"]
    )
    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
    def test_a_foreign_page_changes_nothing_with_our_cookies(self, method: str, origin: str) -> None:
        caller = signed_in("ada")
        for address in ("/people/", "/api/v1/tokens", "/v1/audio/transcriptions"):
            answer = caller.ask(address, method, headers={"Origin": origin})
            assert answer.status_code == 403
            assert "another site's page" in answer.text

    def test_a_form_without_its_csrf_token_changes_nothing(self) -> None:
        caller = signed_in("ada")
        for address in ("/people/", "/sign-out/", "/account/tokens/"):
            page = caller.ask(address, "POST", data={"name": "x", "role": "viewer"})
            assert page.status_code == 403
        assert "load the page again" in page.text
        assert caller.ask("/api/v1/tokens", "POST", json={}).status_code == 403

    def test_a_program_with_a_token_may_come_from_any_origin(self) -> None:
        answer = bearer(token_of("vera")).ask(ME, headers={"Origin": "https://tool.example"})
        assert answer.status_code == 200

    def test_only_a_trusted_proxy_can_say_that_it_speaks_tls(self, settings: Any) -> None:
        settings.TRUSTED_PROXIES = ["10.0.0.2"]
        tls = {"X-Forwarded-Proto": "https"}
        trusted = stranger("10.0.0.2").ask("/sign-in/", headers=tls)
        claimed = stranger("192.0.2.1").ask("/sign-in/", headers=tls)
        assert ["Secure" in answer.headers["Set-Cookie"] for answer in (trusted, claimed)] == [True, False]


class TestHeaders:
    @pytest.mark.parametrize("path", ["/sign-in/", ME, "/none", "/healthz", STYLES])
    def test_every_answer_tells_browsers_what_to_refuse(self, path: str) -> None:
        told = stranger().ask(path).headers
        policy = told["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert told["X-Content-Type-Options"] == "nosniff"
        assert told["X-Frame-Options"] == "DENY"
        assert told["Referrer-Policy"] == "same-origin"
        assert told["Cross-Origin-Opener-Policy"] == "same-origin"
        assert "camera=()" in told["Permissions-Policy"]

    def test_each_answer_has_a_number_of_its_own(self) -> None:
        answers = stranger().ask_at_once([ME, "/", "/healthz", "/none", STYLES])
        assert len({answer.headers["x-request-id"] for answer in answers}) == 5

    def test_only_the_listed_third_party_pages_run_scripts_in_the_page(self) -> None:
        assert set(EXCEPTIONS) == {"/admin/", "/flower/", "/api/v1/docs"}
        for prefix, policy in EXCEPTIONS.items():
            assert "style-src 'self' 'unsafe-inline'" in policy_of(f"{prefix}x")
            assert {name: policy[name] for name in OWN_PAGES} == OWN_PAGES

    def test_our_own_pages_have_no_script_or_style_in_them(self) -> None:
        for caller, page in [
            (stranger(), "/sign-in/"),
            *((signed_in("ada"), f"/{one}/") for one in ("account", "people", "none")),
        ]:
            text = caller.ask(page).text
            assert "<style" not in text and " style=" not in text and " onclick=" not in text
            assert all("src=" in tag.partition(">")[0] for tag in text.split("<script")[1:])


class TestLimits:
    @pytest.fixture(autouse=True)
    def twenty_a_minute(self, settings: Any) -> None:
        settings.REQUESTS_PER_MINUTE = 20

    def test_of_fifty_clients_at_once_exactly_twenty_are_served(self) -> None:
        headers = {"Authorization": f"Bearer {token_of('vera')}"}

        async def ask() -> list[int]:
            transport = httpx.ASGITransport(app=application)
            async with httpx.AsyncClient(transport=transport, base_url="http://testserver", timeout=60) as client:
                answers = await asyncio.gather(*(client.get(ME, headers=headers) for _ in range(50)))
            return [answer.status_code for answer in answers]

        assert Counter(async_to_sync(ask)()) == {200: 20, 429: 30}

    def test_who_is_refused_is_told_how_long_to_wait(self) -> None:
        answer = stranger().ask_at_once(["/v1/none"] * 21)[-1]
        assert (answer.status_code, answer.json()["error"]["type"]) == (429, "rate_limit_error")
        assert 0 < int(answer.headers["Retry-After"]) <= 60

    def test_one_person_has_one_limit_however_many_tokens(self) -> None:
        callers = [bearer(token_of("vera")) for _ in range(3)]
        answers = [answer.status_code for caller in callers for answer in caller.ask_at_once([ME] * 10)]
        assert Counter(answers) == {200: 20, 429: 10}
        assert bearer(token_of("otto")).ask(ME).status_code == 200

    def test_guesses_of_tokens_count_by_address_whatever_is_claimed(self) -> None:
        answers = [
            bearer(f"cc_{number}").ask(ME, headers={"X-Forwarded-For": f"203.0.113.{number}"}).status_code
            for number in range(30)
        ]
        assert Counter(answers) == {401: 20, 429: 10}

    def test_pages_are_not_counted(self) -> None:
        answers = signed_in("vera").ask_at_once(["/account/"] * 25)
        assert {answer.status_code for answer in answers} == {200}

    def test_work_goes_on_while_redis_is_away(self, monkeypatch: pytest.MonkeyPatch) -> None:
        away = redis.Redis(host="127.0.0.1", port=1, socket_connect_timeout=0.1)
        monkeypatch.setattr(counters, "client", lambda: away)
        answers = bearer(token_of("vera")).ask_at_once([ME] * 3)
        assert {answer.status_code for answer in answers} == {200}

    def test_who_is_refused_holds_no_connection(self) -> None:
        pool_and_more = configuration.DATABASES["default"]["OPTIONS"]["pool"]["max_size"] + 5
        caller = bearer(token_of("vera"))
        answers = caller.ask_at_once([ME] * (20 + pool_and_more))
        assert {answer.status_code for answer in answers[20:]} == {429}
        assert caller.ask("/account/").status_code != 503


@contextmanager
def statements() -> Iterator[list[str]]:
    """What all threads ask the ledger meanwhile."""
    asked: list[str] = []
    execute = CursorWrapper.execute

    def noting(self: Any, sql: Any, params: Any = None) -> Any:
        asked.append(str(sql))
        return execute(self, sql, params)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(CursorWrapper, "execute", noting)
        yield asked


def identifications(asked: list[str]) -> int:
    return sum("FROM access_apitoken" in " ".join(one.split()) for one in asked)


def submit(caller: Caller, **options: Any) -> httpx.Response:
    recording = {"file": ("talk.wav", b"RIFF" + bytes(1000), "audio/wav")}
    return caller.ask("/api/v1/transcriptions", "POST", files=recording, **options)


class TestWhoAsks:
    @pytest.fixture(autouse=True)
    def hub(self, transactional_db: None) -> None:
        establish_hub(Path(configuration.DATA_DIR), "http://127.0.0.1:1")

    def test_a_submission_with_a_form_is_identified_once(self) -> None:
        caller = bearer(token_of("otto"))
        with statements() as asked:
            assert submit(caller).status_code == 201
        assert identifications(asked) == 1

    def test_a_guessed_token_is_looked_up_once(self) -> None:
        caller = bearer("cc_guess")
        with statements() as asked:
            assert [caller.ask(ME).status_code, submit(caller).status_code] == [401, 401]
        assert identifications(asked) == 2

    def test_who_was_shut_out_while_a_file_came_is_asked_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(identification, "FRESH_SECONDS", 0.0)
        caller = bearer(token_of("otto"))
        with statements() as asked:
            assert submit(caller).status_code == 201
        assert identifications(asked) == 3

    def test_nothing_that_is_sent_says_who_somebody_is(self) -> None:
        told = {"clustercore.found": "ada", "clustercore-found": "ada", "clustercore.judged": "1", "X-User": "ada"}
        answer = stranger().ask(ME, headers=told, params=told)
        assert answer.status_code == 401

    def test_what_was_found_behind_one_request_is_not_believed_of_the_next(self) -> None:
        token = token_of("otto")
        caller = bearer(token)
        assert caller.ask(ME).status_code == 200
        revoke_token(caller.ask(ME).json()["token_id"])
        assert caller.ask(ME).status_code == 401

    def test_a_session_is_its_person(self) -> None:
        assert signed_in("vera").ask(ME).json()["name"] == "vera"


class TestTrouble:
    @pytest.fixture
    def failing(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[Exception], None]:
        """Whoever looks who asks runs into this."""

        def set_up(error: Exception) -> None:
            def identify(_scope: object) -> NoReturn:
                raise error

            monkeypatch.setattr(wrapper, "identify", identify)

        return set_up

    def test_a_ledger_that_is_away_is_told_with_when_to_come_back(self, failing: Callable[[Exception], None]) -> None:
        failing(OperationalError("no connection"))
        for answer in (stranger().ask(ME), submit(stranger())):
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_ledger")
            assert answer.headers["Retry-After"] == "5"

    def test_what_nobody_foresaw_is_told_by_its_number_alone(
        self, failing: Callable[[Exception], None], caplog: pytest.LogCaptureFixture
    ) -> None:
        failing(ProgrammingError("a secret of the source"))
        answer = stranger().ask(ME)
        assert (answer.status_code, answer.json()["error"]["type"]) == (500, "api_error")
        assert answer.headers["x-request-id"] in answer.json()["error"]["message"]
        assert answer.headers["x-request-id"] in caplog.text
        assert "secret" not in answer.text
