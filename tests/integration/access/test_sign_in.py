"""Signing in, and what stands between a stranger and a password."""

from __future__ import annotations

import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client
from django.urls import reverse

from clustercore.access.adapters import counters
from clustercore.access.http.sessions import COOKIE
from clustercore.access.models import AuditEntry
from clustercore.access.services import people
from clustercore.access.services.sign_in import FAILURES, STRANGERS_FAILURES, WINDOW_SECONDS, unlock
from tests.people import PASSWORD, identity, person

pytestmark = [pytest.mark.services, pytest.mark.usefixtures("transactional_db", "redis_client")]
SIGN_IN = "/sign-in/"


def try_to_sign_in(name: str, password: str, *, address: str = "192.0.2.1", client: Client | None = None, **more: Any):  # type: ignore[no-untyped-def]
    client = client or Client()
    return client.post(SIGN_IN, {"name": name, "password": password}, REMOTE_ADDR=address, **more)


def in_parallel(work: Any, arguments: list[Any], workers: int = 50) -> list[Any]:
    def run(argument: Any) -> Any:
        try:
            return work(argument)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(run, arguments))


def test_the_right_password_opens_where_the_person_wanted_to_go() -> None:
    person("otto")
    client = Client()
    answer = client.post(SIGN_IN, {"name": "otto", "password": PASSWORD, "next": "/account/"})
    assert (answer.status_code, answer["Location"]) == (302, "/account/")
    assert client.get("/account/").status_code == 200
    assert AuditEntry.objects.get().action == "session.signed_in"


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example/", "//evil.example", "javascript:alert(1)", "/\\evil.example"]
)
def test_nobody_is_sent_to_another_site(elsewhere: str) -> None:
    person("otto")
    answer = Client().post(SIGN_IN, {"name": "otto", "password": PASSWORD, "next": elsewhere})
    assert answer["Location"] == reverse("home")


def test_an_unknown_name_is_answered_like_a_wrong_password() -> None:
    person("otto")
    answers = [try_to_sign_in(name, "wrong", address=f"192.0.2.{n}") for n, name in enumerate(["otto", "nobody"], 1)]
    pages = [re.sub(r'(value|content)="[^"]*"', "", answer.content.decode()) for answer in answers]
    assert [answer.status_code for answer in answers] == [401, 401]
    assert pages[0] == pages[1]


def test_a_disabled_person_is_answered_like_a_wrong_password() -> None:
    user = person("otto")
    people.set_active(identity("ada"), user.pk, False)
    answer = try_to_sign_in("otto", PASSWORD)
    assert answer.status_code == 401
    assert "The name or the password is wrong." in answer.content.decode()


def strangers_lock(name: str) -> None:
    """Every stranger that may try a name has tried it."""
    for number in range(STRANGERS_FAILURES):
        assert try_to_sign_in(name, "wrong", address=f"192.0.2.{number}").status_code == 401


def test_strangers_together_lock_a_name_for_strangers_and_the_page_says_how_long() -> None:
    person("otto")
    strangers_lock("otto")
    locked = try_to_sign_in("otto", PASSWORD, address="198.51.100.7")
    assert locked.status_code == 429
    assert 0 < int(locked["Retry-After"]) <= WINDOW_SECONDS
    assert "Wait 15 minutes" in locked.content.decode()


@pytest.mark.parametrize("spelling", ["OTTO", " otto ", "\uff4ftto"])
def test_another_spelling_does_not_escape_the_lock(spelling: str) -> None:
    person("otto")
    strangers_lock("otto")
    assert try_to_sign_in(spelling, "wrong", address="198.51.100.7").status_code == 429


def test_ten_wrong_tries_lock_an_address_for_every_name() -> None:
    person("otto")
    for number in range(FAILURES):
        assert try_to_sign_in(f"somebody{number}", "wrong").status_code == 401
    assert try_to_sign_in("otto", PASSWORD).status_code == 429
    assert try_to_sign_in("otto", PASSWORD, address="192.0.2.2").status_code == 302


def test_the_addresses_of_one_ipv6_household_count_as_one() -> None:
    for number in range(FAILURES):
        try_to_sign_in(f"somebody{number}", "wrong", address=f"2001:db8:1:2::{number:x}")
    assert try_to_sign_in("x", "wrong", address="2001:db8:1:2:ffff::1").status_code == 429
    assert try_to_sign_in("x", "wrong", address="2001:db8:1:3::1").status_code == 401


def test_right_passwords_are_never_counted() -> None:
    person("otto")
    for _ in range(FAILURES + 2):
        assert try_to_sign_in("otto", PASSWORD).status_code == 302


def test_of_fifty_wrong_tries_at_once_from_fifty_addresses_exactly_thirty_reach_the_password() -> None:
    person("otto")
    answers = in_parallel(
        lambda n: try_to_sign_in("otto", "wrong", address=f"192.0.2.{n}").status_code, list(range(50))
    )
    assert Counter(answers) == {401: STRANGERS_FAILURES, 429: 50 - STRANGERS_FAILURES}
    assert AuditEntry.objects.filter(action="session.locked").count() == 1


@pytest.mark.parametrize("known_by", ["nothing", "address", "browser"])
def test_a_stranger_who_guesses_does_not_keep_the_right_person_out(known_by: str) -> None:
    person("otto")
    home, browser = "198.51.100.7", Client()
    if known_by != "nothing":
        assert try_to_sign_in("otto", PASSWORD, address=home, client=browser).status_code == 302
    guesses = [try_to_sign_in("otto", f"guess{number}", address="192.0.2.9").status_code for number in range(20)]
    assert Counter(guesses) == {401: FAILURES, 429: 10}
    where = "203.0.113.80" if known_by == "browser" else home
    came = try_to_sign_in("otto", PASSWORD, address=where, client=browser if known_by == "browser" else None)
    assert came.status_code == 302


@pytest.mark.parametrize("known_by", ["address", "browser"])
def test_whoever_signed_in_from_there_before_is_let_in_while_strangers_are_locked_out(known_by: str) -> None:
    person("otto")
    home, browser = "198.51.100.7", Client()
    try_to_sign_in("otto", PASSWORD, address=home, client=browser)
    strangers_lock("otto")
    assert try_to_sign_in("otto", PASSWORD, address="203.0.113.80").status_code == 429
    if known_by == "address":
        assert try_to_sign_in("otto", PASSWORD, address=home).status_code == 302
    else:
        assert try_to_sign_in("otto", PASSWORD, address="203.0.113.80", client=browser).status_code == 302


def test_what_a_neighbour_tries_behind_the_same_address_is_his_own() -> None:
    person("otto")
    try_to_sign_in("otto", PASSWORD)
    for number in range(FAILURES + 1):
        try_to_sign_in(f"somebody{number}", "wrong")
    assert try_to_sign_in("somebody", "wrong").status_code == 429
    assert try_to_sign_in("otto", PASSWORD).status_code == 302


@pytest.mark.parametrize("known_by", ["address", "browser"])
def test_tries_from_a_known_place_have_a_limit_too(known_by: str) -> None:
    person("otto")
    browser = Client()
    try_to_sign_in("otto", PASSWORD, client=browser)

    def guess(number: int) -> int:
        # A known browser is one however often it moves.
        where = f"203.0.113.{number}" if known_by == "browser" else "192.0.2.1"
        client = Client()
        if known_by == "browser":
            client.cookies[COOKIE] = browser.cookies[COOKIE].value
        status: int = try_to_sign_in("otto", "wrong", address=where, client=client).status_code
        return status

    assert Counter(in_parallel(guess, list(range(30)))) == {401: FAILURES, 429: 30 - FAILURES}


def test_a_browser_that_knows_one_person_is_a_stranger_to_another_and_a_made_up_cookie_to_all() -> None:
    person("otto"), person("olga")
    browser, forger = Client(), Client()
    try_to_sign_in("olga", PASSWORD, address="198.51.100.9", client=browser)
    known = browser.cookies[COOKIE].value
    forger.cookies[COOKIE] = known[:-1] + ("y" if known.endswith("x") else "x")
    for name, client in (("otto", browser), ("olga", forger)):
        strangers_lock(name)
        assert try_to_sign_in(name, PASSWORD, address="203.0.113.80", client=client).status_code == 429


def test_people_who_share_a_browser_are_all_known_by_it() -> None:
    person("otto"), person("olga")
    browser = Client()
    for name in ("otto", "olga"):
        try_to_sign_in(name, PASSWORD, client=browser)
        browser.post("/sign-out/")
    strangers_lock("otto")
    assert try_to_sign_in("otto", PASSWORD, address="203.0.113.80", client=browser).status_code == 302


def test_strangers_cannot_use_up_the_tries_of_who_changes_their_password() -> None:
    client = Client()
    client.force_login(person("otto"))
    strangers_lock("otto")
    new = {"password": "another horse battery", "again": "another horse battery"}
    for _ in range(FAILURES):
        client.post("/account/password/", {"current": "wrong", **new})
    locked = client.post("/account/password/", {"current": PASSWORD, **new})
    assert "Too many wrong tries" in locked.content.decode()
    other = Client()
    other.force_login(person("otto"))
    assert other.post("/account/password/", {"current": PASSWORD, **new}).status_code == 302


def test_a_thousand_tries_with_invented_forwarding_addresses_reach_the_password_ten_times() -> None:
    person("otto")

    def guess(number: int) -> int:
        claimed = f"203.0.113.{number % 250}"
        status: int = try_to_sign_in("otto", f"guess{number}", HTTP_X_FORWARDED_FOR=claimed).status_code
        return status

    answers = Counter(in_parallel(guess, list(range(1000))))
    assert answers == {401: FAILURES, 429: 1000 - FAILURES}
    assert AuditEntry.objects.filter(action="session.locked").count() == 1


def test_behind_a_trusted_proxy_the_forwarded_address_is_locked_and_not_the_proxy(settings: Any) -> None:
    settings.TRUSTED_PROXIES = ["10.0.0.0/24"]
    person("otto")
    for number in range(FAILURES):
        try_to_sign_in(f"name{number}", "wrong", address="10.0.0.7", HTTP_X_FORWARDED_FOR="evil, 203.0.113.5")
    assert try_to_sign_in("x", "y", address="10.0.0.7", HTTP_X_FORWARDED_FOR="203.0.113.5").status_code == 429
    assert try_to_sign_in("otto", PASSWORD, address="10.0.0.7", HTTP_X_FORWARDED_FOR="203.0.113.6").status_code == 302


def test_without_redis_nobody_signs_in_and_the_page_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    person("otto")
    away = redis.Redis(host="127.0.0.1", port=1, socket_connect_timeout=0.1)
    monkeypatch.setattr(counters, "client", lambda: away)
    answer = try_to_sign_in("otto", PASSWORD)
    assert answer.status_code == 503
    assert "Redis does not answer" in answer.content.decode()


def test_a_lock_that_redis_cannot_note_is_still_answered_as_one(redis_client: redis.Redis) -> None:
    redis_client.hset(f"{counters.PREFIX}lock-noted:address:192.0.2.1", "no", "counter")
    answers = [try_to_sign_in(f"somebody{number}", "wrong").status_code for number in range(FAILURES + 1)]
    assert answers[-1] == 429


def test_a_password_link_lifts_the_lock() -> None:
    person("otto")
    strangers_lock("otto")
    unlock("Otto")
    assert try_to_sign_in("otto", PASSWORD, address="198.51.100.1").status_code == 302


@pytest.mark.parametrize("known_by", ["address", "browser"])
def test_a_password_link_lifts_the_lock_of_the_persons_own_place_too(known_by: str) -> None:
    person("otto"), person("olga")
    browser, home = Client(), "198.51.100.7"
    try_to_sign_in("otto", PASSWORD, address=home, client=browser)
    client = browser if known_by == "browser" else None
    for _ in range(FAILURES):
        try_to_sign_in("otto", "wrong", address=home, client=client)
    strangers_lock("olga")
    assert try_to_sign_in("otto", PASSWORD, address=home, client=client).status_code == 429
    unlock("Otto")
    assert try_to_sign_in("otto", PASSWORD, address=home, client=client).status_code == 302
    assert try_to_sign_in("olga", PASSWORD, address="203.0.113.9").status_code == 429


def test_signing_out_needs_a_post_and_ends_the_session() -> None:
    client = Client()
    client.force_login(person("otto"))
    assert client.get("/sign-out/").status_code == 405
    assert client.post("/sign-out/")["Location"] == SIGN_IN
    assert client.get("/account/")["Location"] == "/sign-in/?next=%2Faccount%2F"


def test_a_session_gets_a_new_key_when_somebody_signs_in() -> None:
    person("otto")
    client = Client()
    client.get(SIGN_IN)
    session = client.session
    session["planted"] = True
    session.save()
    planted = session.session_key
    assert planted is not None
    client.cookies["sessionid"] = planted
    try_to_sign_in("otto", PASSWORD, client=client)
    assert client.session.session_key != planted


def test_a_disabled_persons_session_stops_at_once() -> None:
    client, user = Client(), person("otto")
    client.force_login(user)
    assert client.get("/account/").status_code == 200
    people.set_active(identity("ada"), user.pk, False)
    assert client.get("/account/").status_code == 302


def test_a_person_without_a_role_is_told_whom_to_ask() -> None:
    person("ada")
    client = Client()
    client.force_login(User.objects.create_user("newcomer", password=PASSWORD))
    page = client.get("/account/").content.decode()
    assert "You have no role yet" in page
    assert "Ask an administrator: ada." in page
