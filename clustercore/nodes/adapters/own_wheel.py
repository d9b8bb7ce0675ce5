"""The wheel of the running installation, for machines that are to join: the same version, whatever an index has.

The bytes follow from the files alone, so that the hub's terminal can print the checksum of what its web process serves.
"""

from __future__ import annotations

import base64
import hashlib
import io
import subprocess
import threading
import zipfile
from collections.abc import Iterator, Set
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import Distribution, distribution
from importlib.util import find_spec
from pathlib import Path

PROJECT = "clustercore"
SUFFIXES = frozenset({".py", ".html", ".css", ".js", ".svg", ".flac", ".opus", ".txt"})
"""Modules, and what the project declares as data of its packages, beside `py.typed`."""
GIT_SECONDS = 30.0
DESCRIPTIONS = ("METADATA", "entry_points.txt", "top_level.txt")
WHEEL = "Wheel-Version: 1.0\nGenerator: clustercore\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
MOMENT = (2020, 1, 1, 0, 0, 0)
"""The time of every file in it: the real ones would change the checksum."""


_packing = threading.Lock()


@dataclass(frozen=True, slots=True)
class OwnWheel:
    """A wheel as pip takes it."""

    name: str
    content: bytes
    sha256: str


def own_wheel_name() -> str:
    """Returns the wheel's name, and packs nothing. Raises PackageNotFoundError where the project is not installed."""
    return _name_of(distribution(PROJECT))


def own_wheel() -> OwnWheel:
    """Returns the wheel, built at the first call. Raises PackageNotFoundError where the project is not installed."""
    # Of many that ask at once, one packs.
    with _packing:
        return _packed()


def _name_of(installed: Distribution) -> str:
    return f"{PROJECT}-{installed.version}-py3-none-any.whl"


@lru_cache(maxsize=1)
def _packed() -> OwnWheel:
    installed = distribution(PROJECT)
    about = f"{PROJECT}-{installed.version}.dist-info"
    files = {**_modules(installed), **_descriptions(installed, about)}
    record = [f"{path},sha256={_digest(content)},{len(content)}" for path, content in files.items()]
    files[f"{about}/RECORD"] = "\n".join([*record, f"{about}/RECORD,,", ""]).encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as wheel:
        for path, content in files.items():
            wheel.writestr(zipfile.ZipInfo(path, MOMENT), content, zipfile.ZIP_DEFLATED)
    content = packed.getvalue()
    return OwnWheel(_name_of(installed), content, hashlib.sha256(content).hexdigest())


def _modules(installed: Distribution) -> dict[str, bytes]:
    packages = (installed.read_text("top_level.txt") or PROJECT).split()
    recorded = {path.as_posix() for path in installed.files or ()}
    return {path: content for package in sorted(packages) for path, content in _files_of(package, recorded)}


def _files_of(package: str, recorded: Set[str]) -> Iterator[tuple[str, bytes]]:
    spec = find_spec(package)
    for place in (spec.submodule_search_locations or []) if spec is not None else []:
        root = Path(place).resolve()
        here = {f"{package}/{path.relative_to(root).as_posix()}": path for path in _shipped_files(root)}
        # Somebody else's files may lie beside the product's: what was installed is recorded, or Git knows it.
        known = here.keys() & recorded or tracked_files(root)
        for name in sorted(here.keys() if known is None else here.keys() & known):
            yield name, here[name].read_bytes()


def _shipped_files(root: Path) -> Iterator[Path]:
    for path in root.rglob("*"):
        is_shipped = path.suffix in SUFFIXES or path.name == "py.typed"
        # What a link leads to may lie anywhere.
        if is_shipped and path.is_file() and path.resolve() == path:
            yield path


def tracked_files(package: Path) -> set[str] | None:
    """Returns the files of a package that Git tracks, named from its parent; None where that is no clone."""
    if not (package.parent / ".git").exists():
        return None
    command = ["git", "-C", str(package.parent), "ls-files", "-z", "--", package.name]
    try:
        found = subprocess.run(command, capture_output=True, check=True, timeout=GIT_SECONDS).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return set(found.decode("utf-8", errors="replace").split("\0")) - {""}


def _descriptions(installed: Distribution, about: str) -> dict[str, bytes]:
    texts = {name: installed.read_text(name) or "" for name in DESCRIPTIONS}
    licence = installed.read_text("licenses/LICENSE")
    if licence:
        texts["licenses/LICENSE"] = licence
    return {f"{about}/{name}": text.encode() for name, text in {**texts, "WHEEL": WHEEL}.items()}


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
