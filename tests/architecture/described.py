"""Which settings there are, and which ones are described."""

from __future__ import annotations

import re

from pydantic_settings import BaseSettings


def variable_names(settings: type[BaseSettings]) -> set[str]:
    """The names of the variables that `settings` are read from."""
    prefix = settings.model_config.get("env_prefix", "")
    return {
        field.validation_alias if isinstance(field.validation_alias, str) else f"{prefix}{name}".upper()
        for name, field in settings.model_fields.items()
    }


def described_names(text: str) -> set[str]:
    """The variables that have a row in one of the tables of `text`."""
    return set(re.findall(r"^\| `([A-Z][A-Z_]+)`", text, re.MULTILINE))
