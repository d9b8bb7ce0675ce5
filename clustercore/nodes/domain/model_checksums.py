"""What the files of Whisper's converted models are: the revision of each repository, and the SHA-256 of every file.

`tiny.en` and `base` were hashed here, from packages that carry them. The others are pins of these revisions in
public projects, most of them found in two or more; nobody looked for a second one of the weights of `tiny`, `small`,
`medium` and `medium.en`. The sizes of a model share tokenizer and vocabulary, whose bytes were seen. Of Vosk's
archives only the one that several projects pin alike is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_MULTILINGUAL = {
    "tokenizer.json": "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
    "vocabulary.txt": "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
}
_ENGLISH = {
    "tokenizer.json": "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
    "vocabulary.txt": "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
}
_THIRD = {
    "preprocessor_config.json": "7ccc62c6f2765af1f3b46c00c9b5894426835a05021c8b9c01eecb6dfb542711",
    "tokenizer.json": "6d8cbd7cd0d8d5815e478dac67b85a26bbe77c1f5e0c6d76d1ce2abc0e5f21ca",
    "vocabulary.json": "c69260f2ab26d659b7c398f9a2b2b48ed0df16c3b47d7326782fd9cba71690c1",
}
_TURBO = {**_THIRD, "tokenizer.json": "297b13372ac43916285644fb9687add3cc62ee2a1adb60da3dc25cc94c1871fd"}


@dataclass(frozen=True, slots=True)
class Pinned:
    """One revision of a repository, and what its files are."""

    revision: str
    sha256: Mapping[str, str]
    """File name to SHA-256."""


def _pinned(revision: str, config: str, weights: str, others: Mapping[str, str]) -> Pinned:
    return Pinned(revision, {"config.json": config, "model.bin": weights, **others})


WHISPER: Mapping[str, Pinned] = {
    "tiny": _pinned(
        "d90ca5fe260221311c53c58e660288d3deb8d356",
        "a73a28cdfe1c43ccc7202fa333d1f89c202477271407ae9a7f19afa52039cac8",
        "dcb76c6586fc06cbdac6dd21f14cfd129cc4cdd9dce19bf4ffa62e59cbe6e6d1",
        _MULTILINGUAL,
    ),
    "tiny.en": _pinned(
        "0d3d19a32d3338f10357c0889762bd8d64bbdeba",
        "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
        "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
        _ENGLISH,
    ),
    "base": _pinned(
        "ebe41f70d5b6dfa9166e2c581c45c9c0cfc57b66",
        "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
        "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
        _MULTILINGUAL,
    ),
    "base.en": _pinned(
        "3d3d5dee26484f91867d81cb899cfcf72b96be6c",
        "f3bc3821e9fc76a27bae538e11ae5b677dcdd352b4600429ce7951d398569aeb",
        "2a166925539a16005f14ff328359f9b9adb9dc4fb631bb3b227526862e93e2ef",
        _ENGLISH,
    ),
    "small": _pinned(
        "536b0662742c02347bc0e980a01041f333bce120",
        "b55496ac7940a7ae47d2c01eab40edfd8701feec1229d9cce3b40014383fb828",
        "3e305921506d8872816023e4c273e75d2419fb89b24da97b4fe7bce14170d671",
        _MULTILINGUAL,
    ),
    "small.en": _pinned(
        "d1d751a5f8271d482d14ca55d9e2deeebbae577f",
        "666a9605530ac1f61fa8177f3702b4dacec9966749e42610839fcc32661d5fae",
        "62b2a45b05ee59acb4a5341b33ee35e041395d378d418a18acfe4c9e768ee37a",
        _ENGLISH,
    ),
    "medium": _pinned(
        "08e178d48790749d25932bbc082711ddcfdfbc4f",
        "3622a2ddc41ec0e0fd4e68c13c6830f03b90c38d89aaad184de02c8c642cf807",
        "9b45e1009dcc4ab601eff815b61d80e60ce3fd8c74c1a14f4a282258286b51ae",
        _MULTILINGUAL,
    ),
    "medium.en": _pinned(
        "a29b04bd15381511a9af671baec01072039215e3",
        "4a1848ebabe7938d9797c15a2e8e4ce1d36e6fd4a43d096ae5955257c67c7962",
        "11b220779aea4c6f3ce9d2549c8a95ea869ed84066864b999531ef53e594fe5b",
        _ENGLISH,
    ),
    "large-v2": _pinned(
        "f0fe81560cb8b68660e564f55dd99207059c092e",
        "d86b7a7664a12559d644aa210a32ce9a7e03913e794b7ea4fb7182de69e273a7",
        "bf2a9746382e1aa7ffff6b3a0d137ed9edbd9670c3b87e5d35f5e85e70d0333a",
        _MULTILINGUAL,
    ),
    "large-v3": _pinned(
        "edaa852ec7e145841d8ffdb056a99866b5f0a478",
        "a9306624f5ec14270a014b647e5c316b6e03a662c369758d1b90697a7b0655b9",
        "69f74147e3334731bc3a76048724833325d2ec74642fb52620eda87352e3d4f1",
        _THIRD,
    ),
    "large-v3-turbo": _pinned(
        "0a363e9161cbc7ed1431c9597a8ceaf0c4f78fcf",
        "b0253ea6c0d3bea6b1e19e91a02acfd3b53f4467362efcb5a3e6b16c9b3a9b7e",
        "e76620f83d5f5b69efd3d87e3dc180c1bd21df9fbebacfd4335e5e1efcc018da",
        _TURBO,
    ),
}
"""Model to what is pinned of it."""

VOSK: Mapping[str, str] = {
    "vosk-model-small-en-us-0.15": "30f26242c4eb449f948e42cb302dd7a686cb29a3423a8367f99ff41780942498",
}
"""Name of an archive, without its ending, to its SHA-256."""
