from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from clustercore.blobs.domain.addresses import hub_base_url, relative_path

HASH = "abcd" + "0" * 60
ADVERTISED = "http://127.0.0.1:8000/"


def test_a_blob_lies_two_directories_deep() -> None:
    assert relative_path(HASH) == PurePosixPath("ab", "cd", HASH)


@pytest.mark.parametrize("name", ["", "../../etc/passwd", HASH.upper(), HASH + "\n", HASH[:-1], "/" + HASH[1:]])
def test_only_a_hash_becomes_part_of_a_path(name: str) -> None:
    with pytest.raises(ValueError, match="not a SHA-256"):
        relative_path(name)


def test_what_the_user_set_wins() -> None:
    assert hub_base_url("https://hub.example/", "postgresql://u:p@10.0.0.1:7000/d", ADVERTISED) == "https://hub.example"


@pytest.mark.parametrize(
    ("database_url", "base"),
    [
        ("postgresql://u:p@10.0.0.7:7000/d", "http://10.0.0.7:7000"),
        ("postgresql://u:p@hub.local/d", "http://hub.local:5432"),
        ("postgresql://u:p@[fd00::1]:7000/d", "http://[fd00::1]:7000"),
    ],
)
def test_a_database_on_another_machine_names_the_one_port(database_url: str, base: str) -> None:
    assert hub_base_url(None, database_url, ADVERTISED) == base


@pytest.mark.parametrize(
    "database_url",
    [
        None,
        "",
        "postgresql://u:p@localhost:5432/d",
        "postgresql://u:p@127.0.0.2/d",
        "postgresql://u:p@[::1]/d",
        "postgresql:///d?host=/run/postgresql",
        "postgresql://u:p@%2Frun%2Fpostgresql/d",
        "postgresql://u:p@10.0.0.1:5432,10.0.0.2:5433/d",
    ],
)
def test_beside_the_database_the_advertised_address_serves(database_url: str | None) -> None:
    assert hub_base_url(None, database_url, ADVERTISED) == "http://127.0.0.1:8000"
