"""What a person can set is written down, and what is written down can be set."""

from __future__ import annotations

import re

import pytest

from clustercore.config.environment import Environment
from tests.architecture.described import described_names, variable_names
from tests.architecture.source import ROOT

SETTINGS = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")


def test_every_setting_is_described() -> None:
    assert variable_names(Environment) - described_names(SETTINGS) == set(), "add a row to docs/settings.md"


def test_every_described_setting_exists() -> None:
    assert described_names(SETTINGS) - variable_names(Environment) == set(), "remove the row from docs/settings.md"


@pytest.mark.parametrize("name", ["security.md"])
def test_every_test_that_a_document_names_exists(name: str) -> None:
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:unit|integration|faults|web|workflow)/[\w/]+\.py)`", text))
    assert named
    assert {path for path in named if not (ROOT / "tests" / path).is_file()} == set()
