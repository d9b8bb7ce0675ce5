"""The first administrator, by the link that `up` printed."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client

from clustercore.access.domain.identity import at_terminal
from clustercore.access.domain.roles import Role
from clustercore.access.models import AuditEntry
from clustercore.access.services import people
from clustercore.access.services.setup import is_link_waiting, make_setup_path

pytestmark = [pytest.mark.services, pytest.mark.usefixtures("transactional_db", "redis_client")]
FORM = {"name": "ada", "password": "correct horse battery", "again": "correct horse battery"}


@pytest.fixture(autouse=True)
def setup_file(tmp_path: Path, settings: Any) -> Iterator[Path]:
    settings.SETUP_FILE = tmp_path / "secrets" / "setup"
    yield settings.SETUP_FILE


def test_the_link_makes_an_administrator_who_is_signed_in_and_then_it_is_dead() -> None:
    path = make_setup_path()
    client = Client()
    assert client.get(path).status_code == 200
    assert client.post(path, FORM).status_code == 302
    assert client.get("/people/").status_code == 200
    user = User.objects.get()
    assert (user.is_staff, user.is_superuser) == (True, True)
    assert list(AuditEntry.objects.order_by("seq").values_list("actor", "action")) == [
        ("setup link", "person.added"),
        ("ada", "session.signed_in"),
    ]
    assert not is_link_waiting()
    for method in (Client().get, Client().post):
        assert method(path, FORM).status_code == 410


def test_only_the_hash_of_the_link_lies_on_the_disk_and_nobody_else_may_read_it(setup_file: Path) -> None:
    token = make_setup_path().split("/")[2]
    assert token not in setup_file.read_text()
    assert stat.S_IMODE(setup_file.stat().st_mode) == 0o600


@pytest.mark.parametrize("token", ["x", "0" * 64, "..", "%00"])
def test_a_guessed_link_opens_nothing(token: str) -> None:
    make_setup_path()
    answer = Client().post(f"/setup/{token}/", FORM)
    assert answer.status_code in (404, 410)
    assert not User.objects.exists()


def test_the_hash_itself_is_no_key(setup_file: Path) -> None:
    make_setup_path()
    assert Client().post(f"/setup/{setup_file.read_text().strip()}/", FORM).status_code == 410


def test_a_newer_link_ends_the_older() -> None:
    older, newer = make_setup_path(), make_setup_path()
    assert Client().get(older).status_code == 410
    assert Client().get(newer).status_code == 200


def test_without_a_link_nobody_can_set_anything_up() -> None:
    assert Client().post("/setup/anything/", FORM).status_code == 410


def test_of_a_race_of_two_one_becomes_the_administrator() -> None:
    path = make_setup_path()

    def claim(name: str) -> int:
        try:
            status: int = Client().post(path, {**FORM, "name": name}).status_code
            return status
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(claim, [f"racer{number}" for number in range(8)]))
    assert sorted(answers) == [302] + [410] * 7
    assert User.objects.filter(is_superuser=True).count() == User.objects.count() == 1


@pytest.mark.parametrize(
    "change", [{"password": "password", "again": "password"}, {"again": "different"}, {"name": "a b"}, {"name": ""}]
)
def test_a_bad_form_is_shown_again_and_the_link_stays_good(change: dict[str, str]) -> None:
    path = make_setup_path()
    assert Client().post(path, {**FORM, **change}).status_code == 400
    assert Client().post(path, FORM).status_code == 302


def test_all_that_is_wrong_with_a_form_is_said_at_once_and_in_sentences() -> None:
    path = make_setup_path()
    page = Client().post(path, {"name": "Ada Lovelace", "password": "secret", "again": "secrets"}).content.decode()
    for said in ("A name has letters, digits", "This password is too short", "The two passwords differ."):
        assert said in page
    assert "valid username" not in page


def test_there_is_no_link_while_there_is_an_administrator_and_one_again_when_none_is_left() -> None:
    user = people.add_person(at_terminal("root"), "ada", Role.ADMINISTRATOR, "correct horse battery")
    assert make_setup_path() == ""
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert make_setup_path() != ""
