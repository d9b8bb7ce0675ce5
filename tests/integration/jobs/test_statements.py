"""Statements that the database keeps as functions."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.core.management import call_command
from django.db import connection

from clustercore.jobs.adapters import statements
from clustercore.jobs.adapters.statements import StoredFunction, StoredStatement, establish
from clustercore.jobs.services.advance import AFTER_END
from clustercore.jobs.services.claim import CLAIM
from clustercore.jobs.services.hot_statements import HOT_STATEMENTS

pytestmark = pytest.mark.django_db

DOUBLE = StoredStatement(
    "test_double",
    parameters={"number": "integer"},
    columns={"twice": "integer"},
    query="SELECT %(number)s::integer * 2",
)


def functions() -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT proname FROM pg_proc WHERE pronamespace = current_schema()::regnamespace")
        return {name for (name,) in cursor.fetchall()}


@pytest.mark.parametrize("statement", HOT_STATEMENTS, ids=lambda statement: statement.name)
def test_a_migrated_database_keeps_every_statement_of_the_hot_path(statement: StoredStatement) -> None:
    assert statement.function in functions()


def test_a_statement_runs_alike_with_its_function_and_without() -> None:
    assert DOUBLE.function not in functions()
    assert DOUBLE.fetch(number=21) == [(42,)]
    tripled = replace(DOUBLE, query="SELECT %(number)s::integer * 3")
    establish([tripled])
    assert tripled.function in functions()
    assert tripled.fetch(number=21) == [(63,)]


def test_another_text_is_another_function_so_that_two_versions_share_a_database() -> None:
    older = replace(CLAIM, query=CLAIM.query.replace("FOR NO KEY UPDATE SKIP LOCKED", "FOR NO KEY UPDATE"))
    establish([older])
    assert older.function != CLAIM.function
    assert {older.function, CLAIM.function} <= functions()


def test_each_migration_brings_back_a_function_that_is_missing() -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"DROP FUNCTION {AFTER_END.function}")
    call_command("migrate", verbosity=0)
    assert AFTER_END.function in functions()


def test_a_connection_that_missed_a_function_finds_it_once_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    tripled = StoredFunction(
        "test_triple", {"number": "integer"}, {"thrice": "integer"}, text="RETURN QUERY SELECT %(number)s::integer * 3;"
    )
    assert tripled.fetch(number=21) is None
    establish([tripled])
    assert tripled.fetch(number=21) is None
    monkeypatch.setattr(statements, "MISSED_SECONDS", 0.0)
    assert tripled.fetch(number=21) == [(63,)]
