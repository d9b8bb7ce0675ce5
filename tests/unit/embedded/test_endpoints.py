"""Addresses of the servers, as URLs and as Django settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from celery import Celery
from celery.backends.redis import RedisBackend
from hypothesis import given
from hypothesis import strategies as st
from kombu.utils.url import url_to_parts
from psycopg.conninfo import conninfo_to_dict
from redis.connection import parse_url as parse_redis_url

from clustercore.embedded.domain.endpoints import (
    celery_url,
    database_settings,
    embedded_database_url,
    embedded_redis_url,
    public_database_url,
    public_redis_url,
)

PASSWORDS = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=1, max_size=20)
DIRECTORIES = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), min_size=1).map(lambda t: Path("/" + t))


@given(PASSWORDS, DIRECTORIES)
def test_any_password_and_directory_survive_the_database_url(password: str, directory: Path) -> None:
    url = embedded_database_url(directory, 5432, password)
    settings, libpq = database_settings(url, 3), conninfo_to_dict(url)
    assert (settings["PASSWORD"], settings["HOST"], settings["PORT"]) == (password, str(directory), "5432")
    assert (libpq["password"], libpq["host"], libpq["user"], libpq["dbname"]) == (
        password,
        str(directory),
        "clustercore",
        "clustercore",
    )


@given(PASSWORDS)
def test_any_password_survives_the_redis_url_for_every_client(password: str) -> None:
    socket = Path("/var/lib/a b%c/redis.sock")
    url = embedded_redis_url(socket, password)
    parsed = parse_redis_url(url)  # type: ignore[no-untyped-call]
    assert (parsed["password"], parsed["path"], parsed["db"]) == (password, str(socket), 0)
    address = celery_url(url).removeprefix("redis+")
    backend: Any = RedisBackend(url=address, app=Celery(set_as_current=False))
    results = backend.connparams
    assert (results["password"], results["path"], results["db"]) == (password, str(socket), 0)
    scheme, _, _, _, broker_password, path, query = url_to_parts(address)
    assert (scheme, broker_password, f"/{path}", query) == ("socket", password, str(socket), {"virtual_host": "0"})


def test_a_redis_elsewhere_is_the_same_to_celery() -> None:
    assert celery_url("redis://:p@hub:7000/1") == "redis://:p@hub:7000/1"


def test_a_server_elsewhere_keeps_its_options() -> None:
    settings = database_settings("postgresql://me:p%40ss@db.example:6000/work?sslmode=require", 5)
    assert (settings["HOST"], settings["PORT"], settings["NAME"]) == ("db.example", "6000", "work")
    assert (settings["USER"], settings["PASSWORD"]) == ("me", "p@ss")
    assert settings["OPTIONS"]["sslmode"] == "require"
    assert settings["OPTIONS"]["pool"]["max_size"] == 5


def test_the_pool_leaves_connections_open_between_tasks_and_closes_what_nobody_needs() -> None:
    settings = database_settings("postgresql://a:b@c/d", 0)
    assert settings["CONN_MAX_AGE"] == 0
    pool = settings["OPTIONS"]["pool"]
    assert pool == {"min_size": 1, "max_size": 1, "timeout": 5, "reconnect_timeout": 5, "max_idle": 5}


@pytest.mark.parametrize("url", ["sqlite:///x", "mysql://a@b/c", "nonsense"])
def test_another_database_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="postgresql://"):
        database_settings(url, 1)


def test_public_urls_lead_through_the_gateway_with_the_same_passwords() -> None:
    database = public_database_url(embedded_database_url(Path("/run/x"), 5432, "a/b?c"), "10.0.0.1", 7000)
    assert database == "postgresql://clustercore:a%2Fb%3Fc@10.0.0.1:7000/clustercore"
    assert public_redis_url(embedded_redis_url(Path("/run/x"), "a/b"), "hub", 7000) == "redis://:a%2Fb@hub:7000/0"


def test_an_address_of_version_six_is_bracketed() -> None:
    url = public_redis_url(embedded_redis_url(Path("/run/x"), "p"), "fe80::1", 7000)
    assert (urlsplit(url).hostname, urlsplit(url).port, unquote(urlsplit(url).password or "")) == ("fe80::1", 7000, "p")
