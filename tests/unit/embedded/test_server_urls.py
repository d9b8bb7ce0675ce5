"""What DATABASE_URL and REDIS_URL may be, and what is said about what they may not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict

from clustercore.embedded.domain.endpoints import database_settings
from clustercore.embedded.domain.server_urls import checked_database_url, checked_redis_url, parse_database_url

SECRET = "hunter2"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p@h/d",
        "postgres://u:p@h:6432/d?sslmode=verify-full&sslrootcert=/etc/ca.pem",
        "postgresql://u:p@[fd00::1]:5432/d",
        "postgresql:///d?host=/Run/PostgreSQL&port=5433&user=u",
        "postgresql://u:p@%2FRun%2FPostgreSQL/d",
        "postgresql://u:p@h1:5432,h2:5433/d?target_session_attrs=read-write&load_balance_hosts=random",
        "postgresql://u:p@h1:5433,h2/d?connect_timeout=3",
        "postgresql://h",
    ],
)
def test_a_database_url_means_what_it_means_to_postgresqls_own_clients(url: str) -> None:
    address, theirs = parse_database_url(url), conninfo_to_dict(url)
    assert theirs == {
        name: value
        for name, value in {
            "user": address.user,
            "password": address.password,
            "host": address.hosts,
            "port": address.ports,
            "dbname": address.database,
            **address.options,
        }.items()
        if value
    }


def test_spaces_and_line_ends_around_a_url_are_left_out() -> None:
    assert checked_database_url(" postgresql://u:p@h/d\n") == "postgresql://u:p@h/d"
    assert checked_redis_url("\tredis://:p@h \n") == "redis://:p@h"
    assert checked_redis_url("\nunix://:p@/run/redis.sock\n") == "unix://:p@/run/redis.sock"


def test_several_hosts_reach_django_as_libpq_takes_them() -> None:
    settings = database_settings("postgresql://u:p@h1:5432,h2:5433/d?target_session_attrs=read-write", 1)
    assert (settings["HOST"], settings["PORT"]) == ("h1,h2", "5432,5433")
    assert settings["OPTIONS"]["target_session_attrs"] == "read-write"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite:///x", "SQLite"),
        ("mysql://u:hunter2@h/d", "PostgreSQL's own"),
        ("mysql+pymysql://u:hunter2@h/d", "PostgreSQL's own"),
        ("nonsense", "must start with postgresql://"),
        ("hunter2://x", "must start with postgresql://"),
        ("postgresql://u:hunter2@h:99999/d", "1 to 65535"),
        ("postgresql://u:hunter2/x@h/d", "%2F"),
        ("postgresql://u:12/hunter2@h/d", "%2F"),
        ("postgresql://u:1#hunter2@h/d", "%23"),
        ("postgresql://u:1?hunter2=x@h/d", "%3F"),
        ("postgresql://u:[hunter2@h/d", "cannot be read"),
        ("postgresql://u:hunter%zz2@h/d", "%25"),
        ("postgresql:hunter2", "cannot be read"),
        ("PostgreSQL://u:hunter2@h/d", "cannot be read"),
        ("post\ngresql://u:hunter2@h/d", "cannot be read"),
        ("postgresql://u:hunter2@h:5432:1/d", "brackets"),
        ("postgresql://u:hunter2@h/d?sslmod=require", "is sslmode meant?"),
        ("postgresql://u:hunter2@h/d?sslmode=yes", "verify-full"),
        ("postgresql://u:hunter2@h/d?target_session_attrs=master", "read-write"),
    ],
)
def test_a_database_url_that_cannot_serve_is_refused_with_the_remedy_and_without_the_password(
    url: str, said: str
) -> None:
    with pytest.raises(ValueError, match="DATABASE_URL") as refused:
        checked_database_url(url)
    assert said in str(refused.value)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://h",
        "redis://:p%40ss@h:6379/0",
        "redis://user:p@[fd00::1]:6380/3",
        "unix://:p@/run/redis/redis.sock?db=1",
        "unix:///run/redis/redis.sock",
        "rediss://:p@h:6380/0?ssl_cert_reqs=required&ssl_ca_certs=/etc/ca.pem",
    ],
)
def test_a_redis_url_that_serves_stays_as_it_is(url: str) -> None:
    assert checked_redis_url(url) == url


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sentinel://:hunter2@a:26379;sentinel://b:26379", "Sentinel is not supported yet"),
        ("amqp://guest:hunter2@h//", "RabbitMQ is not supported yet"),
        ("redis-cluster://:hunter2@h", "Redis Cluster is not supported yet"),
        ("redis://:hunter2@a:6379,b:6379/0", "Redis Cluster is not supported yet"),
        ("redis+socket:///run/redis.sock", "a Unix socket is written unix://"),
        ("redis://:Zec%zzret@h:6379/0", "REDIS_URL cannot be read"),
        ("unix://localhost/run/redis.sock", "a Unix socket is written unix://"),
        ("redis://:hunter2@h:6379/0?socket_timeout=5", "they know ssl_cert_reqs"),
        ("redis://:hunter2@h:6379/0?db=1", "they know ssl_cert_reqs"),
        ("rediss://:hunter2@h:6379/0?ssl_cert_reqs=none&hunter2", "they know ssl_cert_reqs"),
        ("unix://:hunter2@/run/redis.sock?db=1&timeout=3", "they know db"),
        ("unix:///run/redis.sock?db=first", "a Unix socket is written unix://"),
        ("hunter2", "must start with redis://"),
        ("Redis://:hunter2@h", "cannot be read"),
        ("redis://", "names no host"),
        ("redis://:hunter2@:6379/0", "names no host"),
        ("redis://:hunter2@h:0/0", "1 to 65535"),
        ("redis://:12/hunter2@h", "%2F"),
        ("redis://:hunter2@h/zero", "number of a database"),
        ("rediss://:hunter2@h:6380/0", "?ssl_cert_reqs=required"),
        ("redis://:hunter2@h:6380/0?ssl_cert_reqs=required", "need rediss://"),
    ],
)
def test_a_redis_url_that_cannot_serve_is_refused_with_the_remedy_and_without_the_password(url: str, said: str) -> None:
    with pytest.raises(ValueError, match="REDIS_URL") as refused:
        checked_redis_url(url)
    assert said in str(refused.value)
    assert SECRET not in str(refused.value)


@given(st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), max_size=40))
def test_whatever_is_written_is_taken_or_refused_in_our_own_words(text: str) -> None:
    for check, head in ((checked_database_url, "postgresql://"), (checked_redis_url, "redis://")):
        for url in (text, head + text):
            try:
                assert check(url) == url.strip()
            except ValueError as refused:
                assert "_URL" in str(refused)
