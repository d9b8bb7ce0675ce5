"""People and tokens at a terminal, and the link that a new hub prints: real processes, as a person uses them."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator

import httpx
import pytest

from clustercore.embedded.services import stop
from tests.integration.project.test_command_line import Terminal, a_terminal

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a hub needs Linux or macOS")
PASSWORD = "correct horse battery"
LINK = re.compile(r"http://127\.0\.0\.1:\d+/\S+/\S+/")


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """A terminal at a new hub, where nobody is known yet."""
    made = a_terminal(tmp_path_factory.mktemp("home"))
    try:
        yield made
    finally:
        made.type("down")
        stop(made.data_dir)
        shutil.rmtree(made.data_dir.parent, ignore_errors=True)


def submit(link: str, **fields: str) -> int:
    with httpx.Client(follow_redirects=True, timeout=30) as browser:
        page = browser.get(link).text
        found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        assert found is not None, page
        return browser.post(link, data={**fields, "csrfmiddlewaretoken": found[1]}).status_code


def link_in(text: str) -> str:
    found = LINK.search(text)
    assert found is not None, text
    return found[0]


def me(link: str, token: str) -> httpx.Response:
    hub_url = "/".join(link.split("/")[:3])
    return httpx.get(f"{hub_url}/api/v1/me", headers={"Authorization": f"Bearer {token}"}, timeout=30)


def test_from_a_new_hub_to_people_with_roles_and_programs_with_tokens(hub: Terminal) -> None:
    started = hub.type("up", "-d", "--no-node", "--no-flower")
    assert started.returncode == 0, started.stderr
    setup = link_in(started.stdout)
    assert hub.read("users", "list", "--json") == []
    assert link_in(hub.type("up").stdout) == setup

    assert submit(setup, name="ada", password=PASSWORD, again=PASSWORD) == 200
    assert httpx.get(setup).status_code == 410
    assert "/setup/" not in hub.type("up").stdout

    added = hub.type("users", "add", "olga", "--role", "operator")
    assert submit(link_in(added.stdout), password=PASSWORD, again=PASSWORD) == 200
    [ada, olga] = hub.read("users", "list", "--json")
    assert (ada["name"], ada["role"], olga["name"], olga["role"]) == ("ada", "administrator", "olga", "operator")

    token = hub.type("tokens", "create", "olga", "nightly", "--scope", "view", "--days", "1").stdout.strip()
    assert me(setup, token).json()["permissions"] == ["view"]
    [row] = hub.read("tokens", "list", "--json")
    assert (row["name"], row["owner"], token.startswith(row["prefix"])) == ("nightly", "olga", True)

    assert hub.type("users", "disable", "olga").returncode == 0
    assert me(setup, token).status_code == 401
    assert hub.type("users", "enable", "olga").returncode == 0
    assert me(setup, token).status_code == 200
    assert hub.type("tokens", "revoke", str(row["id"])).returncode == 0
    assert me(setup, token).status_code == 401
    assert hub.type("users", "role", "olga", "viewer").returncode == 0
    assert submit(link_in(hub.type("users", "link", "olga").stdout), password=PASSWORD, again=PASSWORD) == 200


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("users", "disable", "nobody"), "there is no person named 'nobody'"),
        (("users", "disable", "ada"), "last administrator"),
        (("users", "role", "ada", "viewer"), "last administrator"),
        (("users", "add", "ada"), "already"),
        (("users", "add", "a b"), "name"),
        (("users", "role", "ada", "king"), "king"),
        (("tokens", "create", "olga", "x", "--scope", "administer"), "more than olga may"),
        (("tokens", "create", "olga", "x", "--scope", "all"), "all"),
        (("tokens", "create", "olga", "x"), "--scope"),
        (("tokens", "revoke", "999"), "no such token"),
    ],
)
def test_what_cannot_be_is_refused_in_words(hub: Terminal, words: tuple[str, ...], said: str) -> None:
    answer = hub.type(*words)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert said in answer.stderr
    assert "Traceback" not in answer.stderr


def test_other_machines_are_not_let_in_while_debug_pages_are_shown(hub: Terminal) -> None:
    hub.type("down")
    answer = hub.type("up", "-d", "--no-node", "--listen", "127.0.0.1:0", CLUSTERCORE_DEBUG="true")
    assert answer.returncode == 2
    assert "CLUSTERCORE_DEBUG" in answer.stderr
