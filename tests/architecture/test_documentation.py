"""What a person can set is written down, and what is written down can be set."""

from __future__ import annotations

import re

from clustercore.config.environment import Environment
from tests.architecture.source import ROOT

SETTINGS = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")


def variable_names() -> set[str]:
    """The names of the variables that the environment is read from."""
    prefix = Environment.model_config.get("env_prefix", "")
    return {
        field.validation_alias if isinstance(field.validation_alias, str) else f"{prefix}{name}".upper()
        for name, field in Environment.model_fields.items()
    }


def described_names() -> set[str]:
    return set(re.findall(r"^\| `([A-Z][A-Z_]+)`", SETTINGS, re.MULTILINE))


def test_every_setting_is_described() -> None:
    assert variable_names() - described_names() == set(), "add a row to docs/settings.md"


def test_every_described_setting_exists() -> None:
    assert described_names() - variable_names() == set(), "remove the row from docs/settings.md"
