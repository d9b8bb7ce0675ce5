"""Secret files are made once, whoever comes first."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clustercore.embedded.adapters import secrets
from clustercore.embedded.selectors import resolve_endpoints


def test_a_secret_is_kept_and_nobody_else_may_read_it(tmp_path: Path) -> None:
    first = secrets.password(tmp_path / "secrets/one")
    assert secrets.password(tmp_path / "secrets/one") == first
    assert (tmp_path / "secrets/one").read_text().strip() == first
    assert stat.S_IMODE((tmp_path / "secrets/one").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700


def test_secrets_differ(tmp_path: Path) -> None:
    assert secrets.password(tmp_path / "one") != secrets.password(tmp_path / "two")


def test_those_who_come_together_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_PROPOSED", _Forgetful())
    with ThreadPoolExecutor(8) as pool:
        answers = set(pool.map(secrets.password, [tmp_path / "secrets/one"] * 8))
    assert len(answers) == 1
    assert [path.name for path in (tmp_path / "secrets").iterdir()] == ["one"]


class _Forgetful(dict[Path, str]):
    """Every thread proposes its own, as separate processes would."""

    def setdefault(self, key: Path, default: str) -> str:
        return default


def test_an_absent_data_directory_stays_absent(tmp_path: Path) -> None:
    endpoints = resolve_endpoints(tmp_path / "absent", None, None)
    assert endpoints.embedded_database
    assert not (tmp_path / "absent").exists()


def test_what_was_answered_before_the_directory_existed_holds_afterwards(tmp_path: Path) -> None:
    before = resolve_endpoints(tmp_path / "late", None, None)
    (tmp_path / "late").mkdir()
    assert resolve_endpoints(tmp_path / "late", None, None) == before
    assert (tmp_path / "late/secrets/redis").read_text().strip() in before.redis_url


def test_given_urls_are_taken_as_they_are(tmp_path: Path) -> None:
    endpoints = resolve_endpoints(tmp_path, "postgresql://a:b@c/d", "redis://e/1")
    assert (endpoints.database_url, endpoints.redis_url) == ("postgresql://a:b@c/d", "redis://e/1")
    assert not endpoints.embedded_database
    assert not endpoints.embedded_redis
    assert not (tmp_path / "run").exists()
