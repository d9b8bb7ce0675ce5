"""What may be asked of a transcription."""

from __future__ import annotations

import pytest

from clustercore.jobs.domain.job_request import InvalidRequest
from transcription.services.submit import Wishes, _request


@pytest.mark.parametrize("prompt", ["a\x00b", "Z\udcfcrich", "\ud83d"])
def test_words_to_expect_that_are_no_text_are_refused(prompt: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^prompt: ") as refused:
        _request("talk.wav", Wishes(prompt=prompt))
    assert refused.value.field == "prompt"


def test_a_wrong_language_names_its_field_once() -> None:
    with pytest.raises(InvalidRequest, match=r"^language: 'klingon' is no language"):
        _request("talk.wav", Wishes(language="klingon"))


def test_a_language_is_kept_as_the_engines_write_it() -> None:
    assert _request("talk.wav", Wishes(language="ger")).language == "de"
