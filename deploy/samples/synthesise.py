"""Speaks the bundled conversation with flite's voices, and writes the recordings and scripts that the package carries.

    python -m deploy.samples.synthesise [--directory transcription/samples]

Needs the program `flite` (Debian package `flite`). The result depends on nothing else: no chance, no clock.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from itertools import cycle
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame

from transcription.adapters.decoding import Decoder
from transcription.adapters.flac import write_flac
from transcription.adapters.surveying import survey
from transcription.domain.cut import Samples
from transcription.domain.sampling import SAMPLE_RATE

VOICES = ("rms", "slt")
PAUSES_SECONDS = (0.5, 0.7, 0.4, 0.8, 0.6)
LEAD_SECONDS = 0.3
CLIP_TURNS = 2
BIT_RATE = 40_000
LOUDNESS = 0.7
"""Peak of each turn, so that neither voice drowns the other."""


def main() -> None:
    """Write conversation.opus and conversation.txt, clip.flac and clip.txt."""
    parser = argparse.ArgumentParser(description=__doc__)
    samples = Path(__file__).resolve().parents[2] / "transcription" / "samples"
    parser.add_argument("--directory", type=Path, default=samples)
    directory = parser.parse_args().directory
    turns = (Path(__file__).parent / "conversation.txt").read_text(encoding="utf-8").splitlines()
    spoken = [speak(turn, voice) for turn, voice in zip(turns, cycle(VOICES), strict=False)]
    directory.mkdir(parents=True, exist_ok=True)
    write_opus(directory / "conversation.opus", conversation(spoken))
    write_script(directory / "conversation.txt", turns)
    write_flac(directory / "clip.flac", conversation(spoken[:CLIP_TURNS]))
    write_script(directory / "clip.txt", turns[:CLIP_TURNS])


def write_script(path: Path, turns: list[str]) -> None:
    """What is said, one turn a line."""
    path.write_text("\n".join(turns) + "\n", encoding="utf-8")


def write_opus(path: Path, samples: Samples) -> None:
    """A recording as people send them, at a third of FLAC's size."""
    with path.open("wb") as file, av.open(file, "w", format="ogg", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libopus", rate=SAMPLE_RATE, layout="mono")
        stream.bit_rate = BIT_RATE
        frame = AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts = SAMPLE_RATE, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def conversation(spoken: list[Samples]) -> Samples:
    """The turns with a pause after each."""
    parts = [silence(LEAD_SECONDS)]
    for turn, pause in zip(spoken, cycle(PAUSES_SECONDS), strict=False):
        parts += [turn, silence(pause)]
    return np.concatenate(parts)


def speak(text: str, voice: str) -> Samples:
    """What `voice` says, at 16 kHz."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "turn.wav"
        subprocess.run(["flite", "-voice", voice, "-t", text, "-o", str(path)], check=True)
        samples = np.concatenate(list(Decoder(survey(path, None, lambda: None), 600, lambda: None).blocks()))
    louder: Samples = (samples * (LOUDNESS * 32767 / np.abs(samples).max())).round().astype(np.int16)
    return louder


def silence(seconds: float) -> Samples:
    """Nothing."""
    return np.zeros(round(seconds * SAMPLE_RATE), dtype=np.int16)


if __name__ == "__main__":
    main()
