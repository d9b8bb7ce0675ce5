from __future__ import annotations

from uuid import UUID

import pytest

from clustercore.jobs.domain.result_files import ResultFile
from clustercore.jobs.domain.spooling import SpooledResult, hash_of_input
from clustercore.jobs.domain.verdict import Done

INPUT = {
    "kind": "transcription",
    "payload": {"blob": "ab" * 32, "start_sample": 0},
    "parameters": {"prompt": ""},
    "language": "en",
    "engine": "",
    "model": "",
}


def kept() -> SpooledResult:
    return SpooledResult(
        key=UUID(int=1),
        job_key=UUID(int=2),
        stage="transcribe",
        ordinal=3,
        input_hash=hash_of_input(**INPUT),  # type: ignore[arg-type]
        verdict=Done({"text": "what was said"}),
        served_by={"engine": "vosk"},
        files={"page.png": ResultFile(sha256="ab" * 32, size=7, media_type="image/png")},
    )


def test_a_result_comes_back_from_its_document_as_it_was() -> None:
    assert SpooledResult.from_json(kept().to_json()) == kept()


def test_a_document_of_the_time_before_files_is_a_result_without_any() -> None:
    document = kept().to_json()
    del document["files"]
    assert SpooledResult.from_json(document).files == {}


@pytest.mark.parametrize("missing", ["key", "job_key", "stage", "ordinal", "input_hash", "served_by", "verdict"])
def test_a_document_that_lacks_a_field_is_no_result(missing: str) -> None:
    document = kept().to_json()
    del document[missing]
    with pytest.raises(ValueError, match="not a result"):
        SpooledResult.from_json(document)


def test_a_document_of_the_time_before_keys_is_no_result() -> None:
    with pytest.raises(ValueError, match="not a result"):
        SpooledResult.from_json({"attempt": 7, "served_by": {}, "verdict": "Done", "result": {}})


@pytest.mark.parametrize(
    "change",
    [
        {"payload": {"blob": "cd" * 32, "start_sample": 0}},
        {"parameters": {"prompt": "names"}},
        {"language": None},
        {"engine": "vosk"},
        {"model": "small"},
        {"kind": "pages"},
    ],
)
def test_whatever_a_result_follows_from_is_in_the_hash_of_its_input(change: dict[str, object]) -> None:
    assert hash_of_input(**(INPUT | change)) != hash_of_input(**INPUT)  # type: ignore[arg-type]


def test_the_order_of_names_is_not_in_the_hash() -> None:
    turned = INPUT | {"payload": {"start_sample": 0, "blob": "ab" * 32}}
    assert hash_of_input(**turned) == hash_of_input(**INPUT)  # type: ignore[arg-type]
