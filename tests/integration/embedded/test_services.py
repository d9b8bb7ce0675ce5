"""One supervisor per data directory runs both servers as long as somebody holds them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import psycopg
import pytest
import redis

from clustercore.embedded.adapters import secrets
from clustercore.embedded.domain.endpoints import Endpoints
from clustercore.embedded.domain.layout import Layout
from clustercore.embedded.selectors import resolve_endpoints
from clustercore.embedded.services import EmbeddedError, ensure_running, status, stop
from tests.integration.embedded.servers import (
    Holder,
    eventually,
    is_alive,
    is_ready,
    kill,
    process_ids,
    read_from_both,
    restarts_of,
    write_to_both,
)

pytestmark = pytest.mark.services


def test_data_are_kept_over_a_stop_and_a_start(data_directory: Path) -> None:
    with ensure_running(data_directory) as lease:
        write_to_both(lease.endpoints, "one")
        assert is_ready(data_directory)
    assert stop(data_directory)
    assert status(data_directory)["phase"] == "absent"
    with ensure_running(data_directory) as lease:
        assert read_from_both(lease.endpoints) == (["one"], ["one"])


def test_stopping_what_does_not_run_does_nothing(new_directory: Path) -> None:
    assert not stop(new_directory)
    assert not new_directory.exists()


def test_many_starters_share_one_supervisor(new_directory: Path) -> None:
    holders = [Holder(new_directory) for _ in range(5)]
    answers = [holder.answer() for holder in holders]
    assert len({answer["pid"] for answer in answers}) == 1
    assert len({answer["url"] for answer in answers}) == 1
    assert status(new_directory)["clients"] == 5
    for holder in holders:
        holder.close()


def test_the_servers_stop_after_their_last_client_and_not_before(data_directory: Path) -> None:
    first, second = Holder(data_directory, 0.2), Holder(data_directory, 0.2)
    first.answer(), second.answer()
    running = process_ids(data_directory)
    kill(first.process.pid)
    first.close()
    assert eventually(lambda: status(data_directory)["clients"] == 1)
    assert not eventually(lambda: not is_ready(data_directory), seconds=0.6)
    second.close()
    assert eventually(lambda: not any(is_alive(pid) for pid in running.values()))
    assert status(data_directory)["phase"] == "absent"


def test_who_comes_back_in_time_finds_the_same_servers(data_directory: Path) -> None:
    with ensure_running(data_directory, linger_seconds=20):
        before = process_ids(data_directory)
    with ensure_running(data_directory, linger_seconds=20):
        assert process_ids(data_directory) == before


def test_who_comes_while_they_stop_gets_new_ones(data_directory: Path) -> None:
    for _ in range(3):
        with ensure_running(data_directory, linger_seconds=0):
            assert is_ready(data_directory)


def test_holders_learn_that_somebody_stopped_the_servers(data_directory: Path) -> None:
    with ensure_running(data_directory) as lease:
        assert not lease.ended.is_set()
        stop(data_directory)
        assert lease.ended.wait(5)
        assert "command" in lease.reason
    assert status(data_directory)["phase"] == "absent"


def test_whoever_stops_them_unless_they_are_held_stops_them_once_the_last_has_let_go(data_directory: Path) -> None:
    with ensure_running(data_directory, linger_seconds=60) as lease:
        with ensure_running(data_directory, linger_seconds=60):
            pass
        assert not stop(data_directory, unless_held=True)
        assert is_ready(data_directory)
        assert not lease.ended.is_set()
    assert stop(data_directory, unless_held=True)
    assert status(data_directory)["phase"] == "absent"


@pytest.mark.fault
@pytest.mark.parametrize("server", ["PostgreSQL", "Redis"])
def test_a_killed_server_comes_back_with_its_data(data_directory: Path, server: str) -> None:
    with ensure_running(data_directory) as lease:
        write_to_both(lease.endpoints, "one")
        before = process_ids(data_directory)
        kill(before[server])
        assert eventually(lambda: restarts_of(data_directory, server) == 1 and is_ready(data_directory))
        assert read_from_both(lease.endpoints) == (["one"], ["one"])
        after = process_ids(data_directory)
        assert {name for name in before if before[name] != after[name]} == {server}


@pytest.mark.fault
def test_a_killed_supervisor_is_replaced_for_those_who_hold_it(data_directory: Path) -> None:
    with ensure_running(data_directory) as lease:
        write_to_both(lease.endpoints, "one")
        before = process_ids(data_directory)
        kill(before["supervisor"])
        assert eventually(lambda: is_ready(data_directory))
        assert read_from_both(lease.endpoints) == (["one"], ["one"])
        assert not any(is_alive(pid) for pid in before.values())
        assert not lease.ended.is_set()


@pytest.mark.fault
def test_all_killed_at_once_are_back_within_seconds(data_directory: Path) -> None:
    holder = Holder(data_directory)
    holder.answer()
    endpoints = resolve_endpoints(data_directory, None, None)
    write_to_both(endpoints, "one")
    kill(holder.process.pid)
    holder.close()
    for pid in process_ids(data_directory).values():
        kill(pid)
    with ensure_running(data_directory, start_seconds=10) as lease:
        assert read_from_both(lease.endpoints) == (["one"], ["one"])


@pytest.mark.fault
def test_a_left_pid_file_with_the_number_of_a_stranger_does_not_matter(data_directory: Path) -> None:
    with ensure_running(data_directory):
        process = process_ids(data_directory)["PostgreSQL"]
        pid_file = data_directory / "postgres/postmaster.pid"
        left = pid_file.read_text().replace(str(process), str(os.getpid()), 1)
    stop(data_directory)
    pid_file.write_text(left)
    with ensure_running(data_directory):
        assert is_ready(data_directory)
        assert is_alive(os.getpid())


@pytest.mark.fault
def test_servers_that_cannot_start_say_why_and_where(data_directory: Path) -> None:
    with ensure_running(data_directory):
        pass
    stop(data_directory)
    (data_directory / "postgres/global/pg_control").write_bytes(b"")
    with pytest.raises(EmbeddedError, match=r"logs(?s:.*)pg_control"):
        ensure_running(data_directory)
    assert eventually(lambda: status(data_directory)["phase"] == "absent")


def test_a_server_that_is_killed_comes_back_at_the_same_address(data_directory: Path) -> None:
    with ensure_running(data_directory) as lease:
        before = lease.endpoints
        write_to_both(before, "one")
        kill(process_ids(data_directory)["Redis"])
        assert eventually(lambda: restarts_of(data_directory, "Redis") == 1 and is_ready(data_directory))
        assert lease.endpoints == before
        assert read_from_both(before) == (["one"], ["one"])


def test_only_the_hubs_own_account_enters_the_places_of_the_sockets(data_directory: Path) -> None:
    with ensure_running(data_directory):
        for name in ("postgres", "redis"):
            assert stat.S_IMODE((data_directory / "run" / name).stat().st_mode) == 0o700


def test_a_lost_password_is_replaced(data_directory: Path) -> None:
    with ensure_running(data_directory) as lease:
        write_to_both(lease.endpoints, "one")
        before = lease.endpoints
    stop(data_directory)
    for name in ("postgres", "redis"):
        (data_directory / "secrets" / name).unlink()
        secrets._PROPOSED.pop(data_directory / "secrets" / name, None)
    with ensure_running(data_directory) as lease:
        assert lease.endpoints.database_url != before.database_url
        assert read_from_both(lease.endpoints) == (["one"], ["one"])
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(before.database_url)


@pytest.mark.parametrize("change", [("clustercore:", "clustercore:x"), ("clustercore:", "postgres:")])
def test_postgresql_lets_in_nobody_but_the_role_with_its_password(services: Endpoints, change: tuple[str, str]) -> None:
    with pytest.raises(psycopg.OperationalError, match=r"failed|pg_hba"):
        psycopg.connect(services.database_url.replace(*change, 1))


def test_redis_lets_in_nobody_without_the_password(services: Endpoints) -> None:
    right = services.redis_url
    for url in (right.replace("//:", "//:x"), "unix://" + right.split("@")[1]):
        with redis.Redis.from_url(url) as client, pytest.raises(redis.AuthenticationError):
            client.ping()


def test_the_role_is_no_superuser_but_may_make_test_databases(services: Endpoints) -> None:
    with psycopg.connect(services.database_url) as link:
        row = link.execute(
            "SELECT rolsuper, rolcreatedb, pg_get_userbyid(datdba) FROM pg_roles, pg_database"
            " WHERE rolname = current_user AND datname = 'clustercore'"
        ).fetchone()
    assert row == (False, True, "clustercore")


def test_postgresql_is_safe_and_roomy(services: Endpoints) -> None:
    wanted = {
        "fsync": "on",
        "data_checksums": "on",
        "max_connections": "300",
        "server_encoding": "UTF8",
        "listen_addresses": "",
    }
    with psycopg.connect(services.database_url) as link:
        rows = link.execute("SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", [list(wanted)]).fetchall()
    assert dict(rows) == wanted


def test_redis_keeps_what_it_accepted_and_throws_nothing_away(services: Endpoints) -> None:
    wanted = {"appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "noeviction", "port": "0"}
    with redis.Redis.from_url(services.redis_url) as client:
        assert {name: client.config_get(name)[name] for name in wanted} == wanted


def test_a_very_long_path_works(parent_directory: Path) -> None:
    data_directory = parent_directory / ("x" * 100) / "data"
    with ensure_running(data_directory) as lease:
        write_to_both(lease.endpoints, "one")
        assert Layout(data_directory).sockets.parent == Path("/tmp")
    stop(data_directory)
    assert not Layout(data_directory).sockets.exists()
