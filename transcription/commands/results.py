"""What `clustercore transcribe` says of its results, and writes of them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.text import Text

from clustercore.jobs.commands.reading import notes_of
from clustercore.jobs.commands.rendering import served_words, took_text
from clustercore.jobs.domain.bodies import share_body
from clustercore.jobs.domain.progress import JobProgress
from clustercore.terminal.adapters.console import output, remark, write_json_line
from clustercore.terminal.domain.endings import ExitCode
from clustercore.terminal.domain.humanize import clock_words, counted, printable, printable_path
from transcription.commands.outputs import NO_WORDS, Exporting, write_exports
from transcription.domain.transcript import Gap
from transcription.models import Recording
from transcription.selectors import transcript_of

ROUGH_ENGINE = "pocketsphinx"
BETTER_MODEL = "clustercore models pull faster-whisper:small"


@dataclass(frozen=True, slots=True)
class Submitted:
    """A file and its job."""

    path: Path
    job_id: int
    is_new: bool


@dataclass(frozen=True, slots=True)
class Written:
    """What came of a job: its text, None unless it is done, the exports, and what kept them from being written."""

    text: str | None = None
    exports: Mapping[str, Path] = field(default_factory=dict)
    problem: str = ""
    gaps: Sequence[Gap] = ()
    """What the text lacks."""
    seconds: float | None = None
    """Of sound; None until the recording is cut."""
    notes: Sequence[str] = ()
    """What was odd about the recording, such as damage or a missing end."""


def finish(submitted: Sequence[Submitted], jobs: Sequence[JobProgress], exporting: Exporting, *, as_json: bool) -> int:
    """Writes the texts of jobs that are over and says what came of each; returns the exit code."""
    found, notes = {job.id: job for job in jobs}, notes_of([job.id for job in jobs])
    seconds = dict(Recording.objects.filter(job_id__in=list(found)).values_list("job_id", "seconds"))
    common = {} if as_json else notes_in_common(notes)
    all_done = True
    for one in submitted:
        job = found.get(one.job_id)
        if job is None:
            remark(f"job {one.job_id} was removed meanwhile")
            all_done = False
            continue
        noted = [note for note in notes.get(job.id, []) if note not in common]
        written = replace(_export(one, job, exporting), seconds=seconds.get(job.id), notes=noted)
        all_done = all_done and job.state == "done" and not written.problem and not written.gaps
        if as_json:
            write_json_line(_document(one, job, written))
        else:
            output().print(_result(one, job, written))
    if not as_json:
        _say_in_common(common, jobs)
    return ExitCode.DONE if all_done else ExitCode.FAILED


def _say_in_common(notes: Mapping[str, int], jobs: Sequence[JobProgress]) -> None:
    for note, count in notes.items():
        remark(f"{count} recordings: {note}", "yellow")
    if hint := quality_hint(jobs):
        remark(hint, "dim")


def notes_in_common(notes: Mapping[int, Sequence[str]]) -> dict[str, int]:
    """Returns the notes that several jobs have, with how many: they are told once, after the results."""
    counts = Counter(note for said in notes.values() for note in dict.fromkeys(said))
    return {note: count for note, count in counts.items() if count > 1}


def _export(one: Submitted, job: JobProgress, exporting: Exporting) -> Written:
    if job.state != "done":
        return Written()
    transcript = transcript_of(job.id)
    try:
        exports = write_exports(transcript, one.path, exporting)
    except OSError as error:
        why = f"the text is in the ledger, but could not be written: {error}"
        return Written(
            transcript.text,
            gaps=transcript.gaps,
            problem=f"{why}; `clustercore export {job.id} -o DIRECTORY` writes it",
        )
    beside = one.path.absolute().parent
    if exporting.directory is None and any(path.parent != beside for path in exports.values()):
        remark(f"{printable_path(beside)} cannot be written to; the exports are in the current directory", "yellow")
    return Written(transcript.text, exports, gaps=transcript.gaps)


def _document(one: Submitted, job: JobProgress, written: Written) -> dict[str, Any]:
    return {
        "file": os.fsencode(one.path).decode("utf-8", "replace"),
        "job": job.id,
        "state": job.state,
        "error": written.problem or job.error,
        "language": job.language,
        "seconds_of_audio": written.seconds,
        "seconds": round(job.elapsed_seconds, 3),
        "text": written.text,
        "gaps": [asdict(gap) for gap in written.gaps],
        "notes": list(written.notes),
        "exports": {name: os.fsencode(path).decode("utf-8", "replace") for name, path in written.exports.items()},
        "served_by": [share_body(share) for share in job.shares],
    }


def _result(one: Submitted, job: JobProgress, written: Written) -> Text:
    if job.state != "done" or written.problem:
        why = written.problem or job.error or f"clustercore job {job.id} says more"
        return Text.assemble(("✘ ", "red"), f"{printable_path(one.path)}: {job.state}: {printable(why)}")
    line = Text.assemble(("✔ ", "yellow" if written.gaps else "green"))
    line.append(f"{printable_path(one.path)}: {clock_words(written.seconds)} of sound, {took_text(job)}")
    if written.gaps:
        line.append(f", {job.standing_words}")
    for note in [*written.notes, *_missing(job, written), *([] if written.text else [NO_WORDS])]:
        line.append(f"\n  {printable(note)}", "yellow")
    for path in written.exports.values():
        line.append(f"\n  {printable_path(path)}", "bold")
    for share in job.shares:
        line.append(
            f"\n  {printable(share.node)}: {served_words(share.served_by, share.rung)}, {counted(share.done, 'piece')}",
            "dim",
        )
    return line


def _missing(job: JobProgress, written: Written) -> list[str]:
    """Each gap, and what to type."""
    if not written.gaps:
        return []
    return [*(gap.words for gap in written.gaps), f"clustercore retry {job.id} tries again what is missing"]


def quality_hint(jobs: Sequence[JobProgress]) -> str:
    """What to type for better text, when the last rung served; empty otherwise."""
    served = {share.served_by for job in jobs for share in job.shares if share.done}
    if not any(label.startswith(ROUGH_ENGINE) for label in served):
        return ""
    return (
        "PocketSphinx served: it works with nothing downloaded, but its text is rough. "
        f"For much better text: {_engine_first()}{BETTER_MODEL}"
    )


def _engine_first() -> str:
    """What to install before a better model is of use on this machine."""
    if find_spec("faster_whisper") is not None:
        return ""
    return "pip install 'clustercore[faster-whisper]' (from a clone: make engines), then "
