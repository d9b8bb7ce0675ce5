"""Small JSON documents, and files beside them, that survive the process: what could not be delivered yet."""

from __future__ import annotations

import json
import logging
import os
import shutil
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from clustercore.blobs.adapters.files import flush_directory
from clustercore.embedded.domain.shortage import shortage_in

logger = logging.getLogger(__name__)

SUFFIX = ".json"
BROKEN_SUFFIX = ".broken"
WRITING_SUFFIX = ".writing"
FILES_SUFFIX = ".files"
"""Of the folder beside a document that holds its files."""
FOLDER_PREFIX = "hub-"


def spool_directory(data_directory: Path, node_name: str) -> Path:
    """Where the node of this name keeps its spool; the name is quoted, so that it stays one folder."""
    return data_directory / "spool" / _quoted(node_name)


class DirectorySpools:
    """Implements `Spools`: one folder for each hub below the node's own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._spools: dict[str, DirectorySpool] = {}
        self._forget_unnamed()

    def of(self, hub: str) -> DirectorySpool:
        """As `Spools.of`."""
        with self._lock:
            if hub not in self._spools:
                self._spools[hub] = DirectorySpool(self._directory / f"{FOLDER_PREFIX}{_quoted(hub)}")
            return self._spools[hub]

    def hubs(self) -> list[str]:
        """As `Spools.hubs`."""
        folders = sorted(path.parent.name for path in self._directory.glob(f"{FOLDER_PREFIX}*/*{SUFFIX}"))
        return list(dict.fromkeys(unquote(name.removeprefix(FOLDER_PREFIX)) for name in folders))

    def forget_unfinished(self) -> None:
        """As `Spools.forget_unfinished`."""
        for folder in self._directory.glob(f"{FOLDER_PREFIX}*/*{FILES_SUFFIX}"):
            if not any(folder.with_suffix(suffix).exists() for suffix in (SUFFIX, BROKEN_SUFFIX)):
                shutil.rmtree(folder, ignore_errors=True)
        for path in self._directory.glob(f"{FOLDER_PREFIX}*/*{WRITING_SUFFIX}"):
            path.unlink(missing_ok=True)

    def _forget_unnamed(self) -> None:
        """An earlier version kept results without saying for which hub, or for which attempt but by a number."""
        for path in self._directory.glob(f"*{SUFFIX}"):
            logger.warning("the result in %s does not say which hub it is for: it is left out", path)
            path.unlink(missing_ok=True)


class DirectorySpool:
    """Implements `Spool` in a directory: one file per document, written beside and renamed, after its own files."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._number = time.time_ns()
        directory.mkdir(parents=True, exist_ok=True)

    def put(self, name: str, document: Mapping[str, Any], files: Mapping[str, Path] | None = None) -> None:
        """Durable when it returns; a document of the same name is replaced and keeps its place. Raises OSError."""
        content = json.dumps({"name": name, "document": document}, allow_nan=False).encode()
        with self._lock:
            target = self._path_of(name) or self._directory / f"{self._next_number():020d}-{_short(name)}{SUFFIX}"
            try:
                if files:
                    self._keep_files(target.with_suffix(FILES_SUFFIX), files)
                self._write(target, content)
            except OSError:
                if not target.exists():
                    _remove(target)
                raise

    def file(self, name: str, key: str) -> Path:
        """As `Spool.file`. Raises FileNotFoundError if there is no such document."""
        with self._lock:
            path = self._path_of(name)
        if path is None:
            raise FileNotFoundError(f"nothing is kept under the name {name}")
        return path.with_suffix(FILES_SUFFIX) / key

    def items(self) -> list[tuple[str, dict[str, Any]]]:
        """As `Spool.items`."""
        with self._lock:
            return [found for path in self._paths() if (found := self._read(path)) is not None]

    def remove(self, name: str) -> None:
        """As `Spool.remove`."""
        with self._lock:
            path = self._path_of(name)
            if path is not None:
                _remove(path)
                flush_directory(self._directory)

    def set_aside(self, name: str) -> None:
        """As `Spool.set_aside`."""
        with self._lock:
            path = self._path_of(name)
            if path is not None:
                path.replace(path.with_suffix(BROKEN_SUFFIX))
                flush_directory(self._directory)

    def forget_older_than(self, seconds: float) -> None:
        """As `Spool.forget_older_than`, by the files' own times."""
        with self._lock:
            for path in self._paths():
                if path.stat().st_mtime < time.time() - seconds:
                    logger.warning("the spooled document %s is too old to be of use and removed", path)
                    _remove(path)

    def _keep_files(self, folder: Path, files: Mapping[str, Path]) -> None:
        folder.mkdir(exist_ok=True)
        for key, path in files.items():
            _link_or_copy(path, folder / key)
        flush_directory(folder)
        flush_directory(self._directory)

    def _write(self, target: Path, content: bytes) -> None:
        beside = target.with_suffix(WRITING_SUFFIX)
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(target)
        flush_directory(self._directory)

    def _paths(self) -> list[Path]:
        return sorted(self._directory.glob(f"*{SUFFIX}"))

    def _path_of(self, name: str) -> Path | None:
        for path in self._directory.glob(f"*-{_short(name)}{SUFFIX}"):
            found = self._read(path)
            if found is not None and found[0] == name:
                return path
        return None

    def _read(self, path: Path) -> tuple[str, dict[str, Any]] | None:
        try:
            content = json.loads(path.read_bytes())
            return str(content["name"]), dict(content["document"])
        except (OSError, ValueError, TypeError, KeyError) as error:
            if shortage_in(error):
                return None
            logger.error("The spooled document %s is unreadable and set aside: %s", path, error)
            with suppress(OSError):
                path.replace(path.with_suffix(BROKEN_SUFFIX))
            return None

    def _next_number(self) -> int:
        # The clock may be set back between two runs: the order of arrival is what counts.
        newest = max((int(path.name.partition("-")[0]) for path in self._numbered()), default=0)
        self._number = max(self._number + 1, newest + 1)
        return self._number

    def _numbered(self) -> list[Path]:
        return [path for path in self._paths() if path.name.partition("-")[0].isdigit()]


def _remove(document: Path) -> None:
    """The document first: without it its files are nobody's, and are found when the node starts."""
    document.unlink(missing_ok=True)
    shutil.rmtree(document.with_suffix(FILES_SUFFIX), ignore_errors=True)


def _link_or_copy(source: Path, target: Path) -> None:
    """Costs no room where the file system has links; the bytes are on the disk when it returns."""
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
    # Windows flushes only what is open for writing, elsewhere the file may be one that may only be read.
    with target.open("rb" if os.name == "posix" else "rb+") as file:
        os.fsync(file.fileno())


def _quoted(name: str) -> str:
    """Safe as a file's name on every system."""
    return quote(name, safe="").replace(".", "%2E").replace("*", "%2A").replace("~", "%7E")


def _short(name: str) -> str:
    return "".join(letter if letter.isalnum() and letter.isascii() else "_" for letter in name)[:80]
