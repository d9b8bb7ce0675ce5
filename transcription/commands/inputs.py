"""Which files the words of a command line mean."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from clustercore.terminal.domain.endings import CommandError, ExitCode
from clustercore.terminal.domain.humanize import counted, printable
from transcription.domain.naming import MEDIA_ENDINGS, TEXT_ENDINGS

_SHOWN = 3


def files_meant(words: Iterable[str], left_out: list[str] | None = None) -> list[Path]:
    """Files as typed, media below directories, and what patterns match; each once, in this order.

    What is bad among the files that a search found is added to `left_out`, and the good ones go on. Raises
    CommandError that names every bad word and file where a file named by itself is bad or nothing good is left.
    """
    found: dict[Path, Path] = {}
    problems: list[str] = []
    bad: list[str] = []
    for word in words:
        try:
            is_searched = not _is_file_itself(word)
            for path in _meant(word, bad):
                problem = _unreadable(path)
                if problem:
                    (bad if is_searched else problems).append(problem)
                else:
                    found.setdefault(path.resolve(), path)
        except (ValueError, OSError) as error:
            problems.append(str(error))
    bad = list(dict.fromkeys(bad))
    if problems or not found:
        raise CommandError("; ".join([*problems, *bad]), ExitCode.USAGE)
    if left_out is not None:
        left_out += bad
    return list(found.values())


def without_texts(words: Sequence[str], paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Recordings, and the texts that a pattern took along; a single file named by itself is taken for what it is.

    Raises CommandError where there are texts alone.
    """
    texts = [path for path in paths if _ending(path) in TEXT_ENDINGS]
    recordings = [path for path in paths if path not in texts]
    if recordings or not texts:
        return recordings, texts
    if len(words) == len(texts) == 1 and _is_file_itself(words[0]):
        return texts, []
    shown = ", ".join(printable(word) for word in words[:_SHOWN]) + (", …" if len(words) > _SHOWN else "")
    raise CommandError(f"{shown}: {counted(len(texts), 'text')} and no recording", ExitCode.USAGE)


def _is_file_itself(word: str) -> bool:
    path = Path(word).expanduser()
    return path.exists() and not path.is_dir()


def _meant(word: str, bad: list[str]) -> Iterator[Path]:
    path = Path(word).expanduser()
    if path.is_dir():
        unreadable: list[str] = []
        below = _media_below(path, unreadable)
        bad += unreadable
        if not below and not unreadable:
            raise ValueError(f"no media below {printable(word)!r} (by their endings; name a file itself to force it)")
        yield from below
    elif path.exists():
        yield path
    else:
        yield from _matches(word)


def _media_below(directory: Path, unreadable: list[str]) -> list[Path]:
    def note(error: OSError) -> None:
        unreadable.append(f"directory {printable(str(error.filename))!r} may not be read: {error.strerror}")

    paths = [Path(folder) / name for folder, _, names in os.walk(directory, onerror=note) for name in names]
    return sorted(one for one in paths if _is_media(one.relative_to(directory)))


def _is_media(path: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.parts)
    return _ending(path) in MEDIA_ENDINGS and not hidden


def _ending(path: Path) -> str:
    return path.suffix.lower().removeprefix(".")


def _matches(pattern: str) -> list[Path]:
    """Windows leaves patterns to the program, and so does a quoted word elsewhere."""
    matches = [Path(one) for one in sorted(glob.glob(str(Path(pattern).expanduser()), recursive=True))]  # noqa: PTH207
    files = [one for one in matches if one.is_file()]
    if not files:
        raise ValueError(f"there is no file {printable(pattern)!r}")
    return files


def _unreadable(path: Path) -> str:
    if not path.is_file():
        return f"{printable(str(path))!r} is not a file"
    if not os.access(path, os.R_OK):
        return f"{printable(str(path))!r} may not be read"
    if path.stat().st_size == 0:
        return f"{printable(str(path))!r} is empty: nothing was recorded, or the copy failed"
    return ""
