"""Who asks, where ASGI is served without Django's middleware: uploads and WebSockets."""

from __future__ import annotations

from typing import Any

import pytest
from django.middleware.csrf import _get_new_csrf_string
from django.test import Client

from clustercore.access.domain.roles import Permission, Role
from clustercore.access.http.identification import Forged, TokenUnknown, identity_of_scope
from clustercore.access.http.refusals import status_of
from tests.people import person, token_of

pytestmark = pytest.mark.django_db


def scope_with(kind: str = "http", **headers: str) -> dict[str, Any]:
    """A scope as uvicorn makes it."""
    named = {"host": "hub.example", **{name.replace("_", "-"): value for name, value in headers.items()}}
    scope: dict[str, Any] = {
        "type": kind,
        "path": "/api/v1/uploads",
        "raw_path": b"/api/v1/uploads",
        "root_path": "",
        "scheme": "http",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in named.items()],
        "client": ("127.0.0.1", 5),
        "server": ("127.0.0.1", 80),
    }
    return scope | ({"method": "POST"} if kind == "http" else {})


def session_of(name: str) -> str:
    """The cookie of somebody who has signed in."""
    client = Client()
    client.force_login(person(name))
    return f"sessionid={client.session.session_key}"


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_a_session_is_its_user(kind: str) -> None:
    found = identity_of_scope(scope_with(kind, cookie=session_of("otto")))
    assert (found.name, found.role, found.token_id) == ("otto", Role.OPERATOR, None)


def test_a_bearer_token_is_its_user_within_its_scopes() -> None:
    token = token_of("otto", Permission.VIEW)
    found = identity_of_scope(scope_with(authorization=f"Bearer {token}"), changes=True)
    assert found.name == "otto"
    assert found.permissions == {Permission.VIEW}


def test_nothing_sent_is_nobody() -> None:
    assert not identity_of_scope(scope_with()).is_known


def test_a_wrong_token_beside_a_good_session_is_refused() -> None:
    with pytest.raises(TokenUnknown) as refused:
        identity_of_scope(scope_with(cookie=session_of("otto"), authorization="Bearer cc_wrong"))
    assert status_of(refused.value) == 401


def test_a_session_of_a_disabled_user_is_nobody() -> None:
    cookie = session_of("otto")
    user = person("otto")
    user.is_active = False
    user.save()
    assert not identity_of_scope(scope_with(cookie=cookie)).is_known


def test_a_session_changes_nothing_without_its_csrf_token() -> None:
    with pytest.raises(Forged) as refused:
        identity_of_scope(scope_with(cookie=session_of("otto")), changes=True)
    assert (status_of(refused.value), refused.value.code) == (403, "csrf_failed")


def test_a_session_with_its_csrf_token_may_change_things() -> None:
    secret = _get_new_csrf_string()
    cookie = f"{session_of('otto')}; csrftoken={secret}"
    found = identity_of_scope(scope_with(cookie=cookie, x_csrftoken=secret, origin="http://hub.example"), changes=True)
    assert found.name == "otto"


def test_a_session_from_a_foreign_origin_changes_nothing() -> None:
    secret = _get_new_csrf_string()
    cookie = f"{session_of('otto')}; csrftoken={secret}"
    with pytest.raises(Forged):
        identity_of_scope(scope_with(cookie=cookie, x_csrftoken=secret, origin="http://evil.example"), changes=True)
