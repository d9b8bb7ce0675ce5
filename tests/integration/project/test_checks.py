from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from django.conf import LazySettings
from django.core.checks import run_checks

from clustercore.embedded.domain.endpoints import Endpoints
from clustercore.project.checks import broker_problems, configuration_problems


def ids(problems: list[object]) -> list[str]:
    return [str(getattr(problem, "id", "")) for problem in problems]


@pytest.fixture
def configurable(services: Endpoints) -> Iterator[redis.Redis]:
    """The session's broker, whose configuration is put back afterwards."""
    with redis.Redis.from_url(services.redis_url, decode_responses=True) as client:
        before = {name: client.config_get(name)[name] for name in ("maxmemory-policy", "appendonly")}
        yield client
        for name, value in before.items():
            client.config_set(name, value)


def test_the_embedded_broker_keeps_what_it_is_given(services: Endpoints) -> None:
    assert broker_problems(services.redis_url) == []


def test_a_broker_that_evicts_is_refused_with_the_remedy(configurable: redis.Redis, services: Endpoints) -> None:
    configurable.config_set("maxmemory-policy", "allkeys-lru")
    (problem,) = broker_problems(services.redis_url)
    assert problem.id == "cluster.E002"
    assert "noeviction" in str(problem.hint)


def test_a_broker_without_an_append_only_file_is_refused_with_the_remedy(
    configurable: redis.Redis, services: Endpoints
) -> None:
    configurable.config_set("appendonly", "no")
    (problem,) = broker_problems(services.redis_url)
    assert problem.id == "cluster.E003"
    assert "appendonly yes" in str(problem.hint)


def test_a_broker_that_cannot_be_asked_is_a_warning() -> None:
    assert ids([*broker_problems("redis://127.0.0.1:1")]) == ["cluster.W001"]


@pytest.mark.parametrize("setting", ["accept_content", "result_accept_content"])
def test_pickle_is_refused(settings: LazySettings, setting: str) -> None:
    settings.CELERY = {**settings.CELERY, setting: ["json", "pickle"]}
    assert ids([*configuration_problems()]) == ["cluster.E001"]


def test_a_database_other_than_postgresql_is_refused(settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(settings.DATABASES["default"], "ENGINE", "django.db.backends.sqlite3")
    assert ids([*configuration_problems()]) == ["cluster.E004"]


def test_the_product_as_it_is_passes_every_check() -> None:
    assert run_checks(tags=["cluster"]) == []


def test_checks_that_need_servers_run_only_when_asked_for(settings: LazySettings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1"
    assert run_checks(tags=["cluster"]) == []
    assert ids([*run_checks(tags=["cluster"], databases=["default"])]) == ["cluster.W001"]
