"""Carrying out the cut: decode, ask the rule, write each piece, report it at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import numpy as np

from clustercore.nodes.domain.engine import EngineFailure, JsonObject, Report
from transcription.adapters.decoding import Decoder
from transcription.adapters.flac import FlacWriter
from transcription.adapters.notes import notes_on
from transcription.adapters.opening import MediaError
from transcription.adapters.surveying import declared_seconds, refuse_if_too_long, survey
from transcription.domain.cut import (
    FRAME,
    Append,
    Complete,
    CutRule,
    Cutting,
    Instruction,
    Samples,
    frame_powers,
)
from transcription.domain.plan import piece_seconds
from transcription.domain.sampling import SAMPLE_RATE

REPORT_EVERY_SECONDS = 0.5
SILENCE_POWER = 32.0**2
"""Mean square, in units of 16 bits, up to which a frame is silence: 60 dB below full scale."""


@dataclass(frozen=True, slots=True)
class CutOrder:
    """What is to be cut, how, and what is cut already."""

    path: Path
    directory: Path
    piece_seconds: float | None
    """None leaves it to the recording's length and the slots that wait for its pieces."""
    window_seconds: float
    maximum_seconds: float
    longest_piece_seconds: float = 600.0
    slots: int = 1
    known: tuple[tuple[int, int], ...] = ()
    again: tuple[int, ...] = ()
    """The ordinals of known pieces that are wanted once more."""
    track: int | None = None
    """The audio track that is wanted, from 1; None leaves the choice to the cutter."""

    @classmethod
    def from_request(cls, request: JsonObject) -> CutOrder:
        """Read a request. Raises EngineFailure `bad_request`."""
        try:
            return cls(
                path=Path(request["path"]),
                directory=Path(request["directory"]),
                piece_seconds=None if request["piece_seconds"] is None else float(request["piece_seconds"]),
                window_seconds=float(request["window_seconds"]),
                maximum_seconds=float(request["maximum_seconds"]),
                longest_piece_seconds=float(request.get("longest_piece_seconds", 600.0)),
                slots=int(request.get("slots", 1)),
                known=tuple((int(start), int(end)) for start, end in request.get("known", ())),
                again=tuple(int(ordinal) for ordinal in request.get("again", ())),
                track=None if request.get("track") is None else int(request["track"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise EngineFailure("bad_request", f"The cutter cannot use this request: {error!r}") from error

    def rule_at(self, sample: int, declared_seconds: float | None) -> CutRule:
        """How the piece that starts at `sample` is cut. Raises ValueError."""
        remaining = None if declared_seconds is None else max(0.0, declared_seconds - sample / SAMPLE_RATE)
        longest, window = self.longest_piece_seconds, self.window_seconds
        begun = sample / SAMPLE_RATE
        chosen = self.piece_seconds or piece_seconds(remaining, self.slots, longest, window, begun)
        return CutRule.from_seconds(chosen, window)


class Progress:
    """Reports at least every second of work, and never backwards."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._fraction = 0.0
        self._last = monotonic()

    def tick(self, fraction: float = 0.0) -> None:
        """Still working; `fraction` of the recording is read."""
        self._fraction = max(self._fraction, min(fraction, 0.99))
        if monotonic() - self._last >= REPORT_EVERY_SECONDS:
            self._last = monotonic()
            self._report(self._fraction)

    def event(self, event: JsonObject) -> None:
        """Something to hand over at once."""
        self._last = monotonic()
        self._report(self._fraction, event)


def cut_recording(order: CutOrder, report: Report) -> JsonObject:
    """Cut as ordered. Raises MediaError when the recording cannot be used; pieces reported until then are whole."""
    progress = Progress(report)
    new_cutting(order, None)
    order.directory.mkdir(parents=True, exist_ok=True)
    source = survey(order.path, order.track, progress.tick)
    declared = declared_seconds(source)
    refuse_if_too_long(source, declared, order.maximum_seconds, progress.tick)
    cutting = new_cutting(order, declared)
    decoder = Decoder(source, order.maximum_seconds, progress.tick)
    steps = instructions(decoder, cutting, meter(decoder, cutting, declared, progress))
    write_pieces(order.directory, steps, progress.event)
    check_continuation(cutting, order.known)
    notes = notes_on(source, decoder.health, cutting.position / SAMPLE_RATE)
    return {"samples": cutting.position, **decoder.description, "notes": notes}


def new_cutting(order: CutOrder, declared_seconds: float | None) -> Cutting:
    """The pass over the recording. Raises EngineFailure `bad_request` for known cuts with holes, or unknown ones."""
    try:
        return Cutting(lambda sample: order.rule_at(sample, declared_seconds), order.known, order.again)
    except ValueError as error:
        raise EngineFailure("bad_request", str(error)) from error


def meter(decoder: Decoder, cutting: Cutting, declared: float | None, progress: Progress) -> Callable[[], None]:
    """What to call after each block of sound."""

    def measure() -> None:
        position = cutting.position / SAMPLE_RATE
        progress.tick(position / declared if declared else decoder.fraction)

    return measure


def instructions(decoder: Decoder, cutting: Cutting, measure: Callable[[], None]) -> Iterator[Instruction]:
    """What the rule says while the sound streams past."""
    for block in decoder.blocks():
        yield from cutting.feed(block)
        measure()
    yield from cutting.finish()


def write_pieces(directory: Path, steps: Iterator[Instruction], hand_over: Callable[[JsonObject], None]) -> None:
    """Write each piece and hand it over once it is on the disk; a piece that breaks off leaves no file."""
    writer: FlacWriter | None = None
    sound = 0.0
    try:
        for step in steps:
            writer = writer or FlacWriter(directory / f"{step.ordinal:05d}.flac")
            if isinstance(step, Append):
                writer.append(step.samples)
                sound += sound_seconds(step.samples)
            else:
                finished, writer = writer, None
                finished.close()
                hand_over(piece_event(finished.path, step, sound))
                sound = 0.0
    finally:
        if writer is not None:
            writer.discard()


def sound_seconds(samples: Samples) -> float:
    """For how long the samples are louder than silence; of a frame of 10 ms that is not full nothing counts."""
    frames = len(samples) // FRAME
    return float(np.count_nonzero(frame_powers(samples[: frames * FRAME]) > SILENCE_POWER)) * FRAME / SAMPLE_RATE


def piece_event(path: Path, piece: Complete, sound: float) -> JsonObject:
    """The event that tells of a finished piece, and for how many seconds there is any sound in it."""
    return {
        "piece": {
            "ordinal": piece.ordinal,
            "path": str(path),
            "start_sample": piece.start,
            "end_sample": piece.end,
            "sound_seconds": round(sound, 2),
            "is_last": piece.is_last,
        }
    }


def check_continuation(cutting: Cutting, known: tuple[tuple[int, int], ...]) -> None:
    """Raise MediaError if the recording ends before its known cuts do: it is not the one they were made from."""
    if known and cutting.position < known[-1][1]:
        raise MediaError(
            "undecodable",
            "The recording is shorter now than when it was first cut: the file has changed or is damaged. "
            "Send it again.",
        )
