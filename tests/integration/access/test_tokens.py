"""Tokens: what they open, and what they never do."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from clustercore.access.domain.identity import Identity
from clustercore.access.domain.roles import Permission, Role
from clustercore.access.models import ApiToken, AuditEntry
from clustercore.access.services import people
from clustercore.access.services.tokens import create_token, revoke_token
from tests.people import PASSWORD, identity, person, token_of

pytestmark = [pytest.mark.services, pytest.mark.django_db, pytest.mark.usefixtures("redis_client")]
ME, TOKENS = "/api/v1/me", "/api/v1/tokens"


def bearing(token: str) -> dict[str, Any]:
    return {"HTTP_AUTHORIZATION": f"Bearer {token}"}


def signed_in(name: str) -> Client:
    client = Client()
    client.force_login(person(name))
    return client


def make(client: Client, **wish: Any) -> Any:
    return client.post(TOKENS, {"name": "n", "scopes": ["view"], **wish}, content_type="application/json")


def test_a_person_learns_who_they_are_and_what_they_may() -> None:
    answer = signed_in("vera").get(ME).json()
    assert (answer["name"], answer["role"], answer["permissions"], answer["token_id"]) == (
        "vera",
        "viewer",
        ["view"],
        None,
    )


def test_a_person_without_a_role_may_ask_who_they_are_and_nothing_else() -> None:
    client = Client()
    client.force_login(User.objects.create_user("newcomer"))
    assert client.get(ME).json()["role"] is None
    assert client.get("/api/v1/nodes").status_code == 403


def test_a_stranger_is_told_to_send_a_token() -> None:
    answer = Client().get(ME)
    assert (answer.status_code, answer.json()["error"]["type"]) == (401, "authentication_error")
    assert answer["WWW-Authenticate"].startswith("Bearer")


def test_a_token_is_shown_once_and_kept_as_a_hash() -> None:
    client = signed_in("otto")
    made = make(client, scopes=["view", "submit"]).json()
    assert made["token"].startswith(made["prefix"])
    assert Client().get(ME, **bearing(made["token"])).json()["permissions"] == ["view", "submit"]
    listed = client.get(TOKENS)
    assert made["token"] not in listed.content.decode()
    assert made["token"] not in str(list(ApiToken.objects.values()))
    assert made["token"] not in str(list(AuditEntry.objects.values()))


@pytest.mark.parametrize(("name", "scope"), [("vera", "submit"), ("otto", "administer")])
def test_nobody_gives_a_token_more_than_they_may(name: str, scope: str) -> None:
    answer = make(signed_in(name), scopes=["view", scope])
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "scopes")
    assert not ApiToken.objects.exists()


def test_a_token_narrows_and_never_widens_when_its_owner_falls() -> None:
    token = token_of("ada", Permission.VIEW, Permission.ADMINISTER)
    person("otto")
    people.add_person(identity("ada"), "second", Role.ADMINISTRATOR)
    people.set_role(identity("otto"), person("ada").pk, Role.VIEWER)
    assert Client().get(ME, **bearing(token)).json()["permissions"] == ["view"]


@pytest.mark.parametrize("field", ["user", "owner", "role", "is_staff", "digest", "prefix", "revoked", "id"])
def test_what_cannot_be_set_is_refused_by_its_name(field: str) -> None:
    answer = make(signed_in("otto"), **{field: "1"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, field)


@pytest.mark.parametrize(
    ("wish", "param"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 81}, "name"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["everything"]}, "scopes"),
        ({"expires": "2001-01-01T00:00:00Z"}, "expires"),
        ({"expires": "tomorrow"}, "expires"),
    ],
)
def test_a_bad_wish_names_the_field(wish: dict[str, Any], param: str) -> None:
    answer = make(signed_in("otto"), **wish)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_a_token_makes_no_tokens_and_revokes_none_but_itself() -> None:
    token = token_of("ada", *Permission)
    other, _ = create_token(person("ada"), "other", frozenset(Permission))
    own = ApiToken.objects.exclude(pk=other.pk).get()
    client = Client()
    refused = client.post(TOKENS, {"name": "n", "scopes": ["view"]}, content_type="application/json", **bearing(token))
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "session_needed")
    assert client.delete(f"{TOKENS}/{other.pk}", **bearing(token)).status_code == 403
    assert client.delete(f"{TOKENS}/{own.pk}", **bearing(token)).status_code == 204
    assert client.get(ME, **bearing(token)).status_code == 401


def test_somebody_elses_token_is_not_there() -> None:
    row, _ = create_token(person("olga"), "hers", frozenset({Permission.VIEW}))
    client = signed_in("otto")
    assert client.delete(f"{TOKENS}/{row.pk}").status_code == 404
    assert client.post(f"/account/tokens/{row.pk}/revoke/").status_code == 404
    assert client.get(TOKENS).json() == {"results": []}
    row.refresh_from_db()
    assert row.revoked is None


@pytest.mark.parametrize("end", ["revoked", "expired", "disabled"])
def test_a_token_that_has_ended_opens_nothing(end: str) -> None:
    past = timezone.now() - timedelta(seconds=1)
    row, token = create_token(
        person("otto"), "t", frozenset({Permission.VIEW}), expires=past if end == "expired" else None
    )
    if end == "revoked":
        revoke_token(row.pk)
    if end == "disabled":
        people.set_active(Identity(None, "a test", None), person("otto").pk, False)
    answer = Client().get(ME, **bearing(token))
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")


def test_a_wrong_token_is_refused_even_beside_a_good_session() -> None:
    assert signed_in("ada").get(ME, **bearing("cc_wrong")).status_code == 401


def test_a_good_token_decides_and_not_the_session_beside_it() -> None:
    assert signed_in("ada").get(ME, **bearing(token_of("vera"))).json()["name"] == "vera"


@pytest.mark.parametrize(
    "way",
    [
        {"HTTP_X_API_KEY": "TOKEN"},
        {"HTTP_API_KEY": "TOKEN"},
        {"HTTP_AUTHORIZATION": "Token TOKEN"},
        {"HTTP_AUTHORIZATION": "Basic TOKEN"},
        {"HTTP_AUTHORIZATION": "TOKEN"},
        {"HTTP_X_AUTHORIZATION": "Bearer TOKEN"},
        {"HTTP_COOKIE": "token=TOKEN; access_token=TOKEN; sessionid=TOKEN"},
        {"QUERY_STRING": "token=TOKEN&api_key=TOKEN&access_token=TOKEN"},
    ],
)
def test_there_is_one_way_to_send_a_token(way: dict[str, str]) -> None:
    token = token_of("ada")
    answer = Client().get(ME, **{name: value.replace("TOKEN", token) for name, value in way.items()})  # type: ignore[arg-type]
    assert answer.status_code == 401


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_scope_decides_alike_however_bearer_is_spelt(scheme: str) -> None:
    narrow = token_of("ada", Permission.METRICS)
    answer = Client().get("/api/v1/nodes", HTTP_AUTHORIZATION=f"{scheme} {narrow}")
    assert answer.status_code == 403


def test_the_account_page_shows_a_new_token_once() -> None:
    client = signed_in("otto")
    page = client.post("/account/tokens/", {"name": "nas", "scopes": ["view"], "days": "30"})
    token = ApiToken.objects.get()
    assert f"{token.prefix}" in page.content.decode()
    assert "no-store" in page["Cache-Control"]
    assert token.expires is not None and timedelta(days=29) < token.expires - timezone.now() <= timedelta(days=30)
    assert client.post(f"/account/tokens/{token.pk}/revoke/").status_code == 302
    token.refresh_from_db()
    assert token.revoked is not None


def test_the_account_page_offers_only_scopes_that_the_person_holds() -> None:
    client = signed_in("vera")
    refused = client.post("/account/tokens/", {"name": "nas", "scopes": ["administer"], "days": "0"})
    assert refused.status_code == 400
    assert 'value="administer"' not in client.get("/account/").content.decode()
    assert not ApiToken.objects.exists()


def test_a_token_opens_no_page_of_the_account() -> None:
    client = Client()
    assert client.get("/account/", **bearing(token_of("ada"))).status_code == 403


def test_a_changed_password_ends_other_sessions_and_needs_the_present_one() -> None:
    here, elsewhere = signed_in("otto"), signed_in("otto")
    new = {"password": "a brand new sentence", "again": "a brand new sentence"}
    assert here.post("/account/password/", {"current": "wrong", **new}).status_code == 400
    assert here.post("/account/password/", {"current": PASSWORD, **new, "again": "x"}).status_code == 400
    assert (
        here.post("/account/password/", {"current": PASSWORD, "password": "short", "again": "short"}).status_code == 400
    )
    assert here.post("/account/password/", {"current": PASSWORD, **new}).status_code == 302
    assert here.get("/account/").status_code == 200
    assert elsewhere.get("/account/").status_code == 302


def test_a_token_remembers_when_it_was_used() -> None:
    token = token_of("otto")
    assert ApiToken.objects.get().last_used is None
    Client().get(ME, **bearing(token))
    used = ApiToken.objects.get().last_used
    assert used is not None and timezone.now() - used < timedelta(minutes=1)
