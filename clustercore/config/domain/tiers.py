"""The preference orders that somebody set, read and refused where they cannot be right."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

SETTING = "CLUSTERCORE_TIERS"
_EXAMPLE = """'{"llm": ["ollama:*70b*", "ollama:*"]}'"""
_CAPABILITY = re.compile(r"[a-z][a-z0-9_-]{0,39}")

Tiers = Mapping[str, tuple[str, ...]]
"""By capability: patterns over `engine:model`, best first."""


def tiers_from(value: object) -> Tiers:
    """Returns what the setting says, as JSON or as the object that it stands for. Raises ValueError that names it."""
    try:
        given = json.loads(value) if isinstance(value, str) else value
    except ValueError as error:
        raise ValueError(f"{SETTING} is no JSON ({error}); write {_EXAMPLE}") from None
    if not isinstance(given, Mapping):
        raise ValueError(f"{SETTING} is an object of lists, one by capability; write {_EXAMPLE}")
    return {_capability(name): _order(name, order) for name, order in given.items()}


def _capability(name: object) -> str:
    if not isinstance(name, str) or not _CAPABILITY.fullmatch(name):
        raise ValueError(f"{SETTING}: {name!r} cannot name a capability: small letters, digits, '-' and '_'")
    return name


def _order(capability: str, patterns: object) -> tuple[str, ...]:
    if not isinstance(patterns, list | tuple) or not patterns:
        raise ValueError(f"{SETTING}: the order of {capability!r} is a list of patterns; write {_EXAMPLE}")
    for pattern in patterns:
        if not isinstance(pattern, str) or not _can_match(pattern):
            raise ValueError(f"{SETTING}: {pattern!r}, in the order of {capability!r}, matches no `engine:model`")
    if len(set(patterns)) < len(patterns):
        raise ValueError(f"{SETTING}: the order of {capability!r} names a pattern twice")
    return tuple(patterns)


def _can_match(pattern: str) -> bool:
    return bool(pattern.strip()) and any(sign in pattern for sign in ":*?[")
