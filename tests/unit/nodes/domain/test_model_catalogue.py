from __future__ import annotations

import re

import pytest

from clustercore.nodes.domain.model_catalogue import CATALOGUE, ModelStoreError, entry_for, is_plain_name, split_label


def test_every_entry_tells_its_addresses_over_an_encrypted_connection() -> None:
    for entry in CATALOGUE.values():
        assert entry.downloads
        assert all(url.startswith("https://") for url in entry.downloads.values())
        assert entry.size_mb > 0


def test_a_whisper_model_lists_the_files_that_its_engine_needs() -> None:
    entry = entry_for("faster-whisper:small")
    assert {"config.json", "model.bin", "tokenizer.json"} < set(entry.files)
    assert entry.downloads["model.bin"].endswith(f"/faster-whisper-small/resolve/{entry.revision}/model.bin")


def test_every_file_of_a_whisper_model_is_known_by_its_checksum_and_its_revision() -> None:
    models = [entry for entry in CATALOGUE.values() if entry.engine == "faster-whisper"]
    assert len(models) > 10
    for entry in models:
        assert set(entry.sha256) == set(entry.files)
        assert all(re.fullmatch("[0-9a-f]{64}", value) for value in entry.sha256.values())
        assert re.fullmatch("[0-9a-f]{40}", entry.revision)
        assert entry.unknown_checksums == ()


def test_no_two_models_have_the_same_weights() -> None:
    weights = [entry.sha256["model.bin"] for entry in CATALOGUE.values() if entry.engine == "faster-whisper"]
    assert len(set(weights)) == len(weights)


def test_an_archive_whose_checksum_nobody_pins_is_said_to_have_none() -> None:
    assert entry_for("vosk:en-small").unknown_checksums == ()
    assert entry_for("vosk:de-small").unknown_checksums == ("vosk-model-small-de-0.15.zip",)


def test_packages_that_carry_a_model_carry_all_of_it() -> None:
    carried = [entry for entry in CATALOGUE.values() if entry.packages]
    assert {entry.label for entry in carried} == {"faster-whisper:tiny.en", "faster-whisper:base"}
    for entry in carried:
        assert {name for package in entry.packages for name in package.files.values()} == set(entry.files)


def test_the_engine_in_a_label_may_be_written_in_capitals() -> None:
    assert entry_for("Faster-Whisper:small").label == "faster-whisper:small"


def test_a_model_of_vosk_may_be_named_in_full() -> None:
    entry = entry_for("vosk:vosk-model-small-sv-rhasspy-0.15")
    assert list(entry.downloads) == ["vosk-model-small-sv-rhasspy-0.15.zip"]


def test_a_misspelt_label_is_answered_with_near_ones_and_the_way_to_bring_an_own_model() -> None:
    with pytest.raises(ModelStoreError) as caught:
        entry_for("faster-whisper:smal")
    assert caught.value.code == "model_unknown"
    assert "did you mean faster-whisper:small" in caught.value.message
    assert "--from FOLDER" in caught.value.message


@pytest.mark.parametrize(
    "label", ["small", "vosk:", ":small", "vosk:../x", "vosk:.partial", "a/b:c", "vosk:c:d", "vosk:x."]
)
def test_a_label_that_is_no_pair_of_plain_names_is_refused(label: str) -> None:
    with pytest.raises(ModelStoreError) as caught:
        split_label(label)
    assert caught.value.code == "label_invalid"


def test_a_hidden_name_is_not_plain() -> None:
    assert is_plain_name("large-v3.en_1")
    assert not is_plain_name(".quarantine")
