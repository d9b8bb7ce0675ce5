"""The house holds: every rule of `rules.py` against the source as it stands."""

from __future__ import annotations

import pytest

from tests.architecture.rules import LEASE_THREAD, RULES, Rule, violations
from tests.architecture.source import ROOT, Module, modules


@pytest.fixture(scope="module")
def source() -> list[Module]:
    return modules(ROOT)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_source_keeps_the_rule(rule: Rule, source: list[Module]) -> None:
    assert violations(rule, source) == []


def test_the_source_is_found(source: list[Module]) -> None:
    assert {"manage.py", "clustercore/jobs/models/work.py", "transcription/models.py"} <= {
        module.path for module in source
    }


def test_the_lease_thread_is_where_its_rule_looks(source: list[Module]) -> None:
    assert LEASE_THREAD.keys() <= {module.path for module in source}
