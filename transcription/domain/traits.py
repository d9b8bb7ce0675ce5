"""The traits by which models say what they can do with speech, and what work with it needs."""

from __future__ import annotations

from collections.abc import Collection

from transcription.domain.detection import UNKNOWN_LANGUAGE

DETECTS_LANGUAGE = "detects-language"
WORD_TIMES = "word-times"
ANY_LANGUAGE = "lang:*"
_LANGUAGE = "lang:"


def language_trait(code: str) -> str:
    """Returns the trait of a model that knows this language, an ISO 639-1 code."""
    return _LANGUAGE + code


def languages_in(traits: Collection[str]) -> list[str]:
    """Returns the codes that the traits name, `*` for any language."""
    return [trait.removeprefix(_LANGUAGE) for trait in traits if trait.startswith(_LANGUAGE)]


def needs_of(language: str | None) -> tuple[str, ...] | None:
    """Returns what a job in this language needs; None while it is not decided, nothing where nobody speaks."""
    if language is None:
        return None
    return () if language == UNKNOWN_LANGUAGE else (language_trait(language),)
