"""Where exports go: beside the recording, never over a file with another content."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from typer import Option

from clustercore.terminal.adapters.privacy import as_the_user_wishes
from clustercore.terminal.domain.endings import CommandError, ExitCode
from transcription.domain.cues import DEFAULT_LAYOUT, MOST_LINES, NARROWEST, WIDEST, Layout
from transcription.domain.exports import EXPORTS, export
from transcription.domain.naming import stem_and_ending
from transcription.domain.transcript import Transcript

DEFAULT_FORMATS = ("txt", "srt")
FORMATS_HELP = f"{' '.join(EXPORTS)}; repeatable. [default: {' '.join(DEFAULT_FORMATS)}]"
FormatsOption = Annotated[list[str] | None, Option("--format", "-f", help=FORMATS_HELP)]
WidthOption = Annotated[
    int,
    Option(
        "--max-line-width", min=NARROWEST, max=WIDEST, help="Columns of a caption's line; a wide character has two."
    ),
]
CountOption = Annotated[int, Option("--max-line-count", min=1, max=MOST_LINES, help="Lines of a caption.")]
NO_WORDS = "no words were heard in this recording"
LONGEST_NAME_BYTES = 255


def checked_formats(formats: Sequence[str]) -> list[str]:
    """The formats asked for, each once; the default where none was. Raises CommandError."""
    wanted = [one.strip().lower() for text in formats for one in text.split(",") if one.strip()]
    unknown = [one for one in wanted if one not in EXPORTS]
    if unknown:
        message = f"--format: {', '.join(unknown)!r} is none of {', '.join(EXPORTS)}"
        raise CommandError(message, ExitCode.USAGE)
    return list(dict.fromkeys(wanted)) or list(DEFAULT_FORMATS)


def checked_directory(directory: Path | None) -> Path | None:
    """Makes the directory that was asked for. Raises CommandError where nothing can be written."""
    if directory is None:
        return None
    try:
        with as_the_user_wishes():
            directory.mkdir(parents=True, exist_ok=True)
        probe = directory / ".clustercore-probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        why = f"nothing can be written to {str(directory)!r}: {error.strerror or error}"
        raise CommandError(f"--output-dir: {why}", ExitCode.USAGE) from error
    return directory


@dataclass(frozen=True, slots=True)
class Exporting:
    """What to write of a transcript: which formats, where, over what is there (`force`), captions in which layout."""

    formats: Sequence[str]
    directory: Path | None
    """None: beside the recording."""
    force: bool = False
    layout: Layout = DEFAULT_LAYOUT


def write_exports(transcript: Transcript, source: Path, wanted: Exporting) -> dict[str, Path]:
    """Writes each format and returns the paths. Beside the recording, or where nothing can be written there, in the
    current directory. Raises OSError."""
    places = [wanted.directory] if wanted.directory is not None else [source.absolute().parent, Path.cwd()]
    stem, _ = stem_and_ending(source.name)
    written: dict[str, Path] = {}
    for name in wanted.formats:
        text = export(transcript, name, wanted.layout)
        with as_the_user_wishes():
            written[name] = _write_first(places, stem, EXPORTS[name].ending, text, wanted.force)
    return written


def _write_first(places: Sequence[Path], stem: str, ending: str, text: str, force: bool) -> Path:
    for place in places[:-1]:
        try:
            return write_beside(place, stem, ending, text, force=force)
        except OSError:
            continue
    return write_beside(places[-1], stem, ending, text, force=force)


def write_beside(directory: Path, stem: str, ending: str, text: str, *, force: bool = False) -> Path:
    """`stem.ending`, or `stem.2.ending` and so on where another content has that name; `force` overwrites.

    A file that has this very content already is left as it is.
    """
    content = text.encode("utf-8", "replace")
    number = 1
    while True:
        path = directory / file_name(stem, ending if number == 1 else f"{number}.{ending}")
        if force:
            path.write_bytes(content)
            return path
        try:
            with path.open("xb") as file:
                file.write(content)
            return path
        except FileExistsError:
            if path.is_file() and path.read_bytes() == content:
                return path
        number += 1


def file_name(stem: str, ending: str) -> str:
    """`stem.ending`, with the stem cut where the file system would refuse the name."""
    room = LONGEST_NAME_BYTES - len(ending.encode()) - 1
    raw = stem.encode("utf-8", "surrogateescape")[:room]
    kept = raw.decode("utf-8", "surrogateescape")
    # A character cut in two would come back as surrogates.
    while kept and "\udc80" <= kept[-1] <= "\udcff" and not stem.startswith(kept):
        kept = kept[:-1]
    return f"{kept}.{ending}"
