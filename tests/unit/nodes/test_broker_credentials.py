"""The address that Celery is given opens nothing, and tells nothing of where the data lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from celery import Celery
from django.conf import LazySettings
from django.views.debug import SafeExceptionReporterFilter
from hypothesis import given
from hypothesis import strategies as st
from kombu import Connection
from kombu.exceptions import OperationalError
from redis.connection import parse_url

from clustercore.embedded.domain.endpoints import Endpoints, Secret, database_settings, redis_credentials
from clustercore.embedded.domain.server_urls import parse_database_url
from clustercore.nodes.adapters.broker_credentials import BrokerCredentials, located
from clustercore.nodes.domain.broker_address import broker_url
from clustercore.project.celery import Results

WITHOUT_PASSWORD = broker_url("redis://ada:secret@hub:7420/3")
PASSWORDS = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=12, max_size=20).filter(
    lambda password: password not in WITHOUT_PASSWORD
)


@given(PASSWORDS)
def test_any_password_is_known_to_redis_and_to_no_url_of_celery(password: str) -> None:
    url = f"redis://ada:{quote(password, safe='')}@hub:7420/3"
    told = parse_url(url)  # type: ignore[no-untyped-call]
    assert redis_credentials(url) == ("ada", password) == (told["username"], told["password"])
    public = broker_url(url)
    assert (urlsplit(public).hostname, urlsplit(public).port, urlsplit(public).path) == ("hub", 7420, "/3")
    assert password not in public
    assert quote(password, safe="") not in public
    assert (urlsplit(public).username, urlsplit(public).password) == (None, None)


def test_a_password_among_the_words_of_the_query_is_left_out_and_the_other_words_are_kept() -> None:
    url = "rediss://hub/0?username=ada&password=not-to-be-told&ssl_cert_reqs=required"
    assert redis_credentials(url) == ("ada", "not-to-be-told")
    assert set(parse_qs(urlsplit(broker_url(url)).query)) == {"ssl_cert_reqs", "credential_provider"}


def test_a_server_without_a_password_is_asked_without_one() -> None:
    assert redis_credentials("redis://hub/1") is None
    assert broker_url("redis://hub:1/1") == "redis://hub:1/1"


def test_the_path_of_a_socket_is_found_and_not_told(settings: LazySettings) -> None:
    settings.REDIS_URL = "unix://:not-to-be-told@/var/lib/data%20of%20ours/redis.sock?db=2"
    public = broker_url(settings.REDIS_URL)
    assert "data" not in public and "not-to-be-told" not in public
    with Connection(public) as connection:
        assert "data" not in repr(connection.info())
        with pytest.raises(OperationalError, match=r"/var/lib/data of ours/redis\.sock"):
            connection.ensure_connection(max_retries=1)
    assert BrokerCredentials().get_credentials() == ("not-to-be-told",)


def test_a_socket_without_a_password_is_found_by_the_broker_and_for_the_results(settings: LazySettings) -> None:
    settings.REDIS_URL = "unix:///run/redis%20of%20ours.sock?db=2"
    public = broker_url(settings.REDIS_URL)
    with Connection(public) as connection, pytest.raises(OperationalError, match=r"/run/redis of ours\.sock"):
        connection.ensure_connection(max_retries=1)
    results: Any = Results(url=public.removeprefix("redis+"), app=Celery(set_as_current=False))
    assert (results.connparams["path"], results.connparams["db"]) == ("/run/redis of ours.sock", 2)


def test_a_socket_of_somebody_else_is_left_where_it_is() -> None:
    parameters = {"path": "/elsewhere.sock", "db": 0}
    assert located(parameters) == parameters


def test_what_holds_a_secret_shows_stars() -> None:
    shown = [
        Endpoints(Path("/data"), "postgresql://a:not-to-be-told@/b", "redis://:not-to-be-told@hub/0", False, False),
        database_settings("postgresql://a:not-to-be-told@hub/b", 1),
        parse_database_url("postgresql://a:not-to-be-told@hub/b?sslpassword=not-to-be-told"),
        [Secret("not-to-be-told")],
    ]
    assert "not-to-be-told" not in repr(shown)
    assert shown[1]["PASSWORD"] == "not-to-be-told"  # type: ignore[index]


@pytest.mark.parametrize("name", ["REDIS_URL", "ENDPOINTS", "ENVIRONMENT", "DATABASES", "CELERY"])
def test_no_setting_shows_a_secret_on_a_debug_page(settings: LazySettings, name: str) -> None:
    password = redis_credentials(settings.REDIS_URL)[-1]  # type: ignore[index]
    told = repr(SafeExceptionReporterFilter().get_safe_settings()[name])
    assert password not in told
    assert str(settings.DATABASES["default"]["PASSWORD"]) not in told
