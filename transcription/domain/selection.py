"""Which models may transcribe a unit, best rung first: a pure choice over what a node can really serve."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from clustercore.nodes.domain.engine import ModelRecord
from clustercore.nodes.domain.tiers import rung_of
from transcription.domain.detection import UNKNOWN_LANGUAGE
from transcription.domain.language import language_name

PULL = "clustercore models pull faster-whisper:small"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A usable model and the rung it stands on; a higher rung is better."""

    record: ModelRecord
    rung: int

    @property
    def label(self) -> str:
        return f"{self.record.engine}:{self.record.model}"


@dataclass(frozen=True, slots=True)
class Selection:
    """Who may serve, best first; `reason` says why nobody may, and what to type. Empty when somebody may."""

    candidates: tuple[Candidate, ...]
    reason: str = ""

    @property
    def best(self) -> Candidate | None:
        return self.candidates[0] if self.candidates else None


def select_models(
    records: Iterable[ModelRecord],
    ladder: Sequence[str],
    *,
    language: str | None,
    minimum_rung: int = 0,
    capability: str = "stt",
) -> Selection:
    """The models of `capability` that can serve `language` (a code; None: it must be detected) from `minimum_rung` up.

    Models that no pattern of the ladder names are not used. Among equals the order is by label, so that every node
    with the same models chooses the same.
    """
    offered = [record for record in records if record.capability == capability]
    usable = [record for record in offered if record.usable]
    standing = [Candidate(record, rung_of(ladder, record.engine, record.model)) for record in usable]
    standing = sorted((one for one in standing if one.rung >= 0), key=lambda one: (-one.rung, one.label))
    able = [candidate for candidate in standing if serves(candidate.record, language)]
    high_enough = tuple(candidate for candidate in able if candidate.rung >= minimum_rung)
    if high_enough:
        return Selection(high_enough)
    if able:
        return Selection((), _too_low(able[0], ladder, minimum_rung))
    return Selection((), _why_nobody(offered, standing, language))


def serves(record: ModelRecord, language: str | None) -> bool:
    """Whether the model hears `language`; None: whether it finds out by itself; unknown: any does for silence."""
    if language is None:
        return record.detects_language
    if language == UNKNOWN_LANGUAGE:
        return True
    return "*" in record.languages or language in record.languages


def _why_nobody(offered: list[ModelRecord], standing: list[Candidate], language: str | None) -> str:
    if standing:
        return _wrong_language([candidate.record for candidate in standing], language)
    if any(record.usable for record in offered):
        labels = ", ".join(f"{record.engine}:{record.model}" for record in offered if record.usable)
        return f"no tier of the preference order names {labels}; add one to CLUSTERCORE_TIERS"
    reasons = [f"{record.engine}: {record.reason}" for record in offered if record.reason]
    return "; ".join(reasons) or f"no engine is here; type: {PULL}"


def _too_low(best: Candidate, ladder: Sequence[str], minimum_rung: int) -> str:
    position = len(ladder) - 1 - minimum_rung
    wanted = ladder[position] if 0 <= position < len(ladder) else f"rung {minimum_rung}"
    return (
        f"{best.label} stands on rung {best.rung} and the job asks for rung {minimum_rung} ({wanted}) or better; "
        "pull a better model here, wait for another node, or allow a lower rung"
    )


def _wrong_language(records: list[ModelRecord], language: str | None) -> str:
    heard = "; ".join(_hears(record) for record in records)
    if language is None:
        codes = sorted({code for record in records for code in record.languages if code != "*"})
        say = f"say the language ({', '.join(codes)}), or " if codes else ""
        return f"{heard}; none detects the language: {say}type: {PULL}"
    return f"{heard}; {language!r} needs a faster-whisper model: {PULL}"


def _hears(record: ModelRecord) -> str:
    if record.languages == ("*",):
        return f"{record.engine}:{record.model} hears any language it is told"
    names = " and ".join(language_name(code) for code in record.languages) or "no known language"
    return (
        f"{record.engine if record.engine == 'pocketsphinx' else f'{record.engine}:{record.model}'} hears {names} only"
    )
