"""How kinds show themselves, and what is missing."""

from __future__ import annotations

from typing import Any

import pytest

from clustercore.jobs.domain import presentation
from clustercore.jobs.domain.presentation import Presentation, present, presentation_of
from clustercore.jobs.services.showing import open_pages
from tests.fakes.jobs.presentations import SUMS, facts_of


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presentation, "_PRESENTATIONS", {})


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (
            {"serializer": "tests.fakes.jobs.presentations:Sums"},
            "the serializer of 'transcription' is not there: .*'Sums'",
        ),
        ({"serializer": "sums"}, "the serializer of 'transcription' is not there: 'sums' is not of the form"),
        ({"fragment": "jobs/none.html"}, "the fragment of 'transcription' is not there: jobs/none.html"),
    ],
)
def test_what_a_presentation_names_must_be_there_when_pages_are_opened(wrong: dict[str, Any], why: str) -> None:
    names: dict[str, Any] = {"serializer": SUMS.serializer, "fragment": "jobs/includes/questions.html"} | wrong
    with pytest.raises(ValueError, match=why):
        open_pages(Presentation(kind="transcription", facts=facts_of, **names))
    assert not presentation._PRESENTATIONS


@pytest.mark.parametrize(
    ("missing", "why"),
    [
        ({"fragment": "jobs/sums.html"}, "the facts of 'sums' have no serializer"),
        ({"serializer": "tests.fakes.jobs.presentations:SumFactsSerializer"}, "the facts of 'sums' have no fragment"),
    ],
)
def test_facts_that_nothing_describes_or_shows_are_refused(missing: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Presentation(kind="sums", facts=facts_of, **missing)


def test_a_presentation_of_a_kind_that_is_not_registered_is_refused() -> None:
    with pytest.raises(ValueError, match="is for the kind 'sums', which is not registered"):
        present(SUMS)


def test_a_kind_is_presented_once() -> None:
    known = Presentation(kind="transcription")
    present(known)
    assert presentation_of("transcription") is known
    with pytest.raises(ValueError, match="has a presentation already"):
        present(known)
