"""The wheel of the running installation, for machines that are to join: the same version, whatever an index has.

The bytes follow from the files alone, so that the hub's terminal can print the checksum of what its web process serves.
"""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import Distribution, distribution
from importlib.util import find_spec
from pathlib import Path

PROJECT = "clustercore"
SUFFIXES = frozenset({".py", ".html", ".css", ".js", ".svg", ".flac", ".opus", ".txt", ".typed"})
DESCRIPTIONS = ("METADATA", "entry_points.txt", "top_level.txt")
WHEEL = "Wheel-Version: 1.0\nGenerator: clustercore\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
MOMENT = (2020, 1, 1, 0, 0, 0)
"""The time of every file in it: the real ones would change the checksum."""


@dataclass(frozen=True, slots=True)
class OwnWheel:
    """A wheel as pip takes it."""

    name: str
    content: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


@lru_cache(maxsize=1)
def own_wheel() -> OwnWheel:
    """Returns the wheel, built at the first call. Raises PackageNotFoundError where the project is not installed."""
    installed = distribution(PROJECT)
    about = f"{PROJECT}-{installed.version}.dist-info"
    files = {**_modules(installed), **_descriptions(installed, about)}
    record = [f"{path},sha256={_digest(content)},{len(content)}" for path, content in files.items()]
    files[f"{about}/RECORD"] = "\n".join([*record, f"{about}/RECORD,,", ""]).encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as wheel:
        for path, content in files.items():
            wheel.writestr(zipfile.ZipInfo(path, MOMENT), content, zipfile.ZIP_DEFLATED)
    return OwnWheel(f"{PROJECT}-{installed.version}-py3-none-any.whl", packed.getvalue())


def _modules(installed: Distribution) -> dict[str, bytes]:
    packages = (installed.read_text("top_level.txt") or PROJECT).split()
    return {path: content for package in sorted(packages) for path, content in _files_of(package)}


def _files_of(package: str) -> Iterator[tuple[str, bytes]]:
    spec = find_spec(package)
    for place in (spec.submodule_search_locations or []) if spec is not None else []:
        root = Path(place)
        for path in sorted(root.rglob("*")):
            if path.suffix in SUFFIXES and path.is_file():
                yield f"{package}/{path.relative_to(root).as_posix()}", path.read_bytes()


def _descriptions(installed: Distribution, about: str) -> dict[str, bytes]:
    texts = {name: installed.read_text(name) or "" for name in DESCRIPTIONS}
    licence = installed.read_text("licenses/LICENSE")
    if licence:
        texts["licenses/LICENSE"] = licence
    return {f"{about}/{name}": text.encode() for name, text in {**texts, "WHEEL": WHEEL}.items()}


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
