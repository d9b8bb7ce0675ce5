from __future__ import annotations

import pytest
from pydantic import ValidationError

from clustercore.config.environment import Environment


def test_orders_of_any_capability_are_read_from_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLUSTERCORE_TIERS", '{"llm": ["ollama:*70b*", "ollama:*"], "translate": ["*"]}')

    assert Environment().tiers == {"llm": ("ollama:*70b*", "ollama:*"), "translate": ("*",)}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("llm=ollama", "is no JSON"),
        ('["ollama:*"]', "is an object of lists"),
        ('{"Large models": ["ollama:*"]}', "cannot name a capability"),
        ('{"llm": "ollama:*"}', "is a list of patterns"),
        ('{"llm": []}', "is a list of patterns"),
        ('{"llm": ["ollama"]}', "matches no `engine:model`"),
        ('{"llm": [7]}', "matches no `engine:model`"),
        ('{"llm": ["ollama:*", "ollama:*"]}', "names a pattern twice"),
    ],
)
def test_an_order_that_cannot_be_right_is_refused_by_the_name_of_the_setting(
    monkeypatch: pytest.MonkeyPatch, value: str, reason: str
) -> None:
    monkeypatch.setenv("CLUSTERCORE_TIERS", value)

    with pytest.raises(ValidationError, match="CLUSTERCORE_TIERS") as refused:
        Environment()
    assert reason in str(refused.value)
