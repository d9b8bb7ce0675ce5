"""People: who may do what to whom."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client

from clustercore.access.domain.errors import Refused
from clustercore.access.domain.identity import at_terminal
from clustercore.access.domain.roles import Role
from clustercore.access.models import AuditEntry
from clustercore.access.selectors import administrators, role_of
from clustercore.access.services import people
from tests.people import PASSWORD, identity, person

pytestmark = [pytest.mark.services, pytest.mark.usefixtures("transactional_db", "redis_client")]
HUB = at_terminal("root")
NEW = {"password": "a brand new sentence", "again": "a brand new sentence"}


def signed_in(name: str) -> Client:
    client = Client()
    client.force_login(person(name))
    return client


def deeds(user: User) -> list[tuple[str, dict[str, Any]]]:
    return [
        ("/people/", {"name": "new", "role": "administrator"}),
        (f"/people/{user.pk}/role/", {"role": "administrator"}),
        (f"/people/{user.pk}/disable/", {}),
        (f"/people/{user.pk}/enable/", {}),
        (f"/people/{user.pk}/link/", {}),
    ]


@pytest.mark.parametrize("name", ["otto", "vera"])
def test_only_administrators_change_people(name: str) -> None:
    client, user = signed_in(name), person("olga")
    assert client.get("/people/").status_code == 403
    assert [client.post(path, form).status_code for path, form in deeds(user)] == [403] * 5
    assert [Client().post(path, form).status_code for path, form in deeds(user)] == [401] * 5
    user.refresh_from_db()
    assert (role_of(user), user.is_active, User.objects.filter(username="new").exists()) == (Role.OPERATOR, True, False)


def test_an_administrator_adds_a_person_who_sets_a_password_by_a_link_that_works_once() -> None:
    page = signed_in("ada").post("/people/", {"name": "rosa", "role": "operator"})
    link = page.context["link"].removeprefix("http://testserver")
    rosa = Client()
    assert rosa.get(link).status_code == 200
    assert rosa.post(link, {**NEW, "again": "other"}).status_code == 400
    assert rosa.post(link, NEW).status_code == 302
    assert rosa.get("/account/").status_code == 200
    assert Client().get(link).status_code == 410
    assert Client().post(link, NEW).status_code == 410
    user = User.objects.get(username="rosa")
    assert (role_of(user), user.is_staff, user.is_superuser) == (Role.OPERATOR, False, False)
    actions = list(AuditEntry.objects.order_by("seq").values_list("action", flat=True))
    assert actions == ["person.added", "person.link_made", "person.password_set", "session.signed_in"]


def test_two_who_use_a_link_at_once_do_not_both_set_the_password() -> None:
    link = people.password_link(HUB, people.add_person(HUB, "rosa", Role.VIEWER).pk)

    def use(password: str) -> int:
        try:
            status: int = Client().post(link, {"password": password, "again": password}).status_code
            return status
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        answers = sorted(pool.map(use, [f"a sentence of number {number}" for number in range(8)]))
    assert answers == [302] + [410] * 7


@pytest.mark.parametrize("key", ["", "x", "MQ", "OTk5OTk5OTk5OTk5OTk5OTk5OTk", "%00"])
def test_a_made_up_link_is_dead(key: str) -> None:
    assert Client().get(f"/set-password/{key}/abc-def/").status_code in (404, 410)


def test_a_disabled_persons_link_is_dead() -> None:
    user = person("otto")
    link = people.password_link(HUB, user.pk)
    people.set_active(HUB, user.pk, False)
    assert Client().get(link).status_code == 410
    with pytest.raises(Refused):
        people.password_link(HUB, user.pk)


@pytest.mark.parametrize("field", ["is_staff", "is_superuser", "groups", "user_permissions", "password", "id"])
def test_a_form_sets_nothing_but_name_and_role(field: str) -> None:
    signed_in("ada").post("/people/", {"name": "rosa", "role": "viewer", field: "1"})
    user = User.objects.get(username="rosa")
    assert (user.is_staff, user.is_superuser, role_of(user), user.has_usable_password()) == (
        False,
        False,
        Role.VIEWER,
        False,
    )


@pytest.mark.parametrize("role", ["", "root", "administrator "])
def test_an_unknown_role_is_refused(role: str) -> None:
    user = person("otto")
    assert signed_in("ada").post(f"/people/{user.pk}/role/", {"role": role}).status_code == 422
    assert role_of(user) is Role.OPERATOR


def test_a_role_counts_from_the_next_request_on() -> None:
    ada, vera = signed_in("ada"), signed_in("vera")
    assert vera.get("/people/").status_code == 403
    ada.post(f"/people/{person('vera').pk}/role/", {"role": "administrator"})
    assert vera.get("/people/").status_code == 200
    ada.post(f"/people/{person('vera').pk}/role/", {"role": "viewer"})
    assert vera.get("/people/").status_code == 403
    user = person("vera")
    assert (user.is_staff, user.is_superuser, user.groups.count()) == (False, False, 1)


def test_a_name_is_taken_once() -> None:
    person("otto")
    answer = signed_in("ada").post("/people/", {"name": "otto", "role": "viewer"})
    assert (answer.status_code, User.objects.filter(username="otto").count()) == (400, 1)


def test_the_last_administrator_stays() -> None:
    ada = person("ada")
    client = signed_in("ada")
    client.post(f"/people/{ada.pk}/disable/")
    client.post(f"/people/{ada.pk}/role/", {"role": "viewer"})
    page = client.get("/people/").content.decode()
    assert "is the last administrator" in page
    assert list(administrators()) == [ada]


def test_two_administrators_who_disable_each_other_at_once_leave_one() -> None:
    users = [person("ada"), people.add_person(HUB, "alan", Role.ADMINISTRATOR, PASSWORD)]

    def disable(user: User) -> None:
        try:
            people.set_active(HUB, user.pk, False)
        except Refused:
            pass
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(disable, users))
    assert administrators().count() == 1


def test_what_was_done_to_people_is_in_the_audit_log() -> None:
    actor, user = identity("ada"), person("otto")
    people.set_role(actor, user.pk, Role.VIEWER)
    people.set_active(actor, user.pk, False)
    people.set_active(actor, user.pk, True)
    entries = list(AuditEntry.objects.order_by("seq").values_list("actor", "action", "target"))
    assert entries == [
        ("ada", "person.role_changed", "user otto"),
        ("ada", "person.disabled", "user otto"),
        ("ada", "person.enabled", "user otto"),
    ]


def test_what_changes_nothing_leaves_no_entry() -> None:
    user = person("otto")
    people.set_role(HUB, user.pk, Role.OPERATOR)
    people.set_active(HUB, user.pk, True)
    assert not AuditEntry.objects.exists()


def test_a_name_is_text_on_every_page() -> None:
    User.objects.create_user("<script>alert(1)</script>")
    page = signed_in("ada").get("/people/").content.decode()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
