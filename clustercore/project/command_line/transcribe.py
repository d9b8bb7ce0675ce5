"""`clustercore transcribe`: files in, text and captions out."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from rich.text import Text
from typer import Argument, Option

from clustercore.blobs.adapters.files import hash_of
from clustercore.jobs.domain.job_request import InvalidRequest
from clustercore.jobs.domain.words import ended_words
from clustercore.jobs.models import Job
from clustercore.jobs.services.control import NotPossible, retry_job
from clustercore.jobs.services.submit import BacklogFull, KeyReused, holder_of_key
from clustercore.project.command_line.cluster import account, cluster
from clustercore.project.command_line.console import (
    CommandError,
    ExitCode,
    complain,
    errors,
    output,
    remark,
    write_json_line,
)
from clustercore.project.command_line.figures import JobFigures
from clustercore.project.command_line.inputs import files_meant, without_texts
from clustercore.project.command_line.outputs import (
    NO_WORDS,
    CountOption,
    Exporting,
    FormatsOption,
    WidthOption,
    checked_directory,
    checked_formats,
    write_exports,
)
from clustercore.project.command_line.rendering import (
    counted,
    duration,
    printable,
    printable_path,
    quality_hint,
)
from clustercore.project.command_line.watching import StoppedWatching, say_how_to_go_on, watch
from transcription.domain.cues import DEFAULT_LAYOUT, Layout
from transcription.domain.transcript import Gap
from transcription.selectors import transcript_of
from transcription.services.submit import Wishes, submit_transcription


@dataclass(frozen=True, slots=True)
class Submitted:
    """A file and its job."""

    path: Path
    job_id: int
    is_new: bool


FilesArgument = Annotated[list[str], Argument(metavar="FILE…", help="Files, directories (searched), patterns.")]
LanguageOption = Annotated[str | None, Option("--language", "-l", help="Code or name; by default it is heard.")]
PromptOption = Annotated[str, Option(help="Names and words to expect.")]
QualityOption = Annotated[str, Option(help="normal: the best model and one rung below; best; any.")]
EngineOption = Annotated[str, Option(help="Only this engine, or engine:model.")]
LowerOption = Annotated[float | None, Option(min=0, help="Seconds after which every model may take part.")]
PieceOption = Annotated[float | None, Option(help="Length of the pieces; by default chosen for the nodes.")]
TrackOption = Annotated[int | None, Option(min=1, help="The audio track to hear, from 1; by default the main one.")]
DirectoryOption = Annotated[Path | None, Option("--output-dir", "-o", help="By default beside each recording.")]
ForceOption = Annotated[bool, Option("--force", help="Overwrite; by default talk.srt becomes talk.2.srt.")]
PriorityOption = Annotated[int, Option(min=-100, max=100, help="Higher goes first.")]
IdempotentOption = Annotated[
    bool, Option("--idempotent", help="The same file with the same wishes again: take up the job that there is.")
]
NoWaitOption = Annotated[
    bool, Option("--no-wait", help="Print the job ids and go; `clustercore export ID` writes the texts.")
]
JsonOption = Annotated[bool, Option("--json", help="One line of JSON per job, and nothing else.")]


def transcribe(
    files: FilesArgument,
    language: LanguageOption = None,
    prompt: PromptOption = "",
    quality: QualityOption = "normal",
    engine: EngineOption = "",
    accept_lower_after: LowerOption = None,
    piece_seconds: PieceOption = None,
    track: TrackOption = None,
    formats: FormatsOption = None,
    output_dir: DirectoryOption = None,
    force: ForceOption = False,
    max_line_width: WidthOption = DEFAULT_LAYOUT.line_width,
    max_line_count: CountOption = DEFAULT_LAYOUT.line_count,
    priority: PriorityOption = 0,
    idempotent: IdempotentOption = False,
    no_wait: NoWaitOption = False,
    as_json: JsonOption = False,
) -> int:
    """Turn recordings into text and captions, on every node of the cluster at once.

    Any audio or video file will do. Ctrl-C stops watching, not the work. Exports go beside each recording; where
    nothing can be written there, into the current directory.

    Examples:

      clustercore transcribe talk.mp3                      talk.txt and talk.srt

      clustercore transcribe interviews/ -l de -f vtt      a whole directory, in German, as WebVTT

      clustercore transcribe *.wav -o texts --json         for a script

    Exit codes: 0 all done, 1 some failed or have gaps, 2 bad input, 3 cluster not reachable, 130 stopped watching.
    """
    wishes = Wishes(
        language=language,
        prompt=prompt,
        quality=quality,
        engine=engine,
        accept_lower_after=accept_lower_after,
        piece_seconds=piece_seconds,
        track=track,
        priority=priority,
    )
    layout = Layout(max_line_width, max_line_count)
    exporting = Exporting(checked_formats(formats or []), checked_directory(output_dir), force, layout)
    paths, left_out = _recordings(files)
    code = _carry_out(paths, wishes, exporting, idempotent=idempotent, no_wait=no_wait, as_json=as_json)
    return ExitCode.FAILED if left_out and code == ExitCode.DONE else code


def _carry_out(
    paths: Sequence[Path], wishes: Wishes, exporting: Exporting, *, idempotent: bool, no_wait: bool, as_json: bool
) -> int:
    """Submits, watches unless told not to, and writes the texts; returns the exit code."""
    with cluster():
        submitted = [_submit(path, wishes, idempotent=idempotent) for path in paths]
        if no_wait:
            _print_ids(submitted, as_json=as_json)
            return ExitCode.DONE
        try:
            jobs = watch([one.job_id for one in submitted])
        except StoppedWatching:
            say_how_to_go_on([one.job_id for one in submitted])
            return ExitCode.INTERRUPTED
        return _finish(submitted, jobs, exporting, as_json=as_json)


def _recordings(words: Sequence[str]) -> tuple[list[Path], list[str]]:
    """What is to be transcribed, and what was wrong with the rest, which is told here."""
    left_out: list[str] = []
    paths, texts = without_texts(files_meant(words, left_out))
    for problem in left_out:
        complain(f"{problem}; left out")
    for text in texts:
        remark(f"{printable_path(text)}: a text, left out", "dim")
    return paths, left_out


def _submit(path: Path, wishes: Wishes, *, idempotent: bool) -> Submitted:
    with errors().status(Text(f"storing {printable(path.name, 60)}")):
        try:
            if idempotent:
                key = idempotency_key(path, wishes)
                known = holder_of_key(None, key)
                if known is not None:
                    _take_up_again(known)
                    return Submitted(path, known.pk, False)
                wishes = replace(wishes, idempotency_key=key)
            job, is_new = submit_transcription(account(), path, path.name, wishes)
        except InvalidRequest as error:
            raise CommandError(f"{printable_path(path)}: {error}", ExitCode.USAGE) from error
        except (BacklogFull, KeyReused) as error:
            raise CommandError(str(error)) from error
    if not is_new:
        _take_up_again(job)
    return Submitted(path, job.pk, is_new)


def _take_up_again(job: Job) -> None:
    name, stands = printable(job.title, 60), ended_words(job.state, job.gaps if job.state == "done" else 0)
    if job.state in ("failed", "cancelled") or (job.state == "done" and job.gaps):
        # Nobody's wish is undone: pieces that a person skipped stay skipped.
        with suppress(NotPossible):
            retry_job(job.pk)
            remark(f"{name}: job {job.pk} was {stands}; what is missing is tried again")
            return
    remark(f"{name}: known already as job {job.pk} ({stands})")


def idempotency_key(path: Path, wishes: Wishes) -> str:
    """The same for the same bytes and the same wishes; priority does not change the text and does not count."""
    left_out = {"priority", "idempotency_key"} | ({"track"} if wishes.track is None else set())
    # Keys of before named an owner, and the command line has none.
    said = {name: value for name, value in asdict(wishes).items() if name not in left_out} | {"owner_id": None}
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]
    return f"transcribe-{hash_of(path)}-{digest}"


def _finish(submitted: Sequence[Submitted], jobs: Sequence[JobFigures], exporting: Exporting, *, as_json: bool) -> int:
    figures = {job.id: job for job in jobs}
    common = notes_in_common(jobs)
    all_done = True
    for one in submitted:
        job = figures.get(one.job_id)
        if job is None:
            remark(f"job {one.job_id} was removed meanwhile")
            all_done = False
            continue
        written = _export(one, job, exporting)
        all_done = all_done and job.state == "done" and not written.problem and not written.gaps
        if as_json:
            write_json_line(_document(one, job, written))
        else:
            output().print(_result(one, job, written, [note for note in job.notes if note not in common]))
    if not as_json:
        for note, count in common.items():
            remark(f"{count} recordings: {note}", "yellow")
        if hint := quality_hint(jobs):
            remark(hint, "dim")
    return ExitCode.DONE if all_done else ExitCode.FAILED


def notes_in_common(jobs: Sequence[JobFigures]) -> dict[str, int]:
    """Returns the notes that several jobs have, with how many: they are told once, after the results."""
    counts = Counter(note for job in jobs for note in dict.fromkeys(job.notes))
    return {note: count for note, count in counts.items() if count > 1}


@dataclass(frozen=True, slots=True)
class Written:
    """What came of a job: its text, None unless it is done, the exports, and what kept them from being written."""

    text: str | None = None
    exports: Mapping[str, Path] = field(default_factory=dict)
    problem: str = ""
    gaps: Sequence[Gap] = ()
    """What the text lacks."""


def _export(one: Submitted, job: JobFigures, exporting: Exporting) -> Written:
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


def _document(one: Submitted, job: JobFigures, written: Written) -> dict[str, Any]:
    return {
        "file": os.fsencode(one.path).decode("utf-8", "replace"),
        "job": job.id,
        "state": job.state,
        "error": written.problem or job.error,
        "language": job.language,
        "seconds_of_audio": job.audio_seconds,
        "seconds": round(job.elapsed, 3),
        "text": written.text,
        "gaps": [asdict(gap) for gap in written.gaps],
        "notes": list(job.notes),
        "exports": {name: os.fsencode(path).decode("utf-8", "replace") for name, path in written.exports.items()},
        "served_by": [asdict(share) for share in job.shares],
    }


def _result(one: Submitted, job: JobFigures, written: Written, notes: Sequence[str]) -> Text:
    if job.state != "done" or written.problem:
        why = written.problem or job.error or f"clustercore job {job.id} says more"
        return Text.assemble(("✘ ", "red"), f"{printable_path(one.path)}: {job.state}: {printable(why)}")
    line = Text.assemble(("✔ ", "yellow" if written.gaps else "green"))
    line.append(f"{printable_path(one.path)}: {duration(job.audio_seconds)} of sound, {job.took}")
    if written.gaps:
        line.append(f", {job.standing_words}")
    for note in [*notes, *_missing(job, written), *([] if written.text else [NO_WORDS])]:
        line.append(f"\n  {printable(note)}", "yellow")
    for path in written.exports.values():
        line.append(f"\n  {printable_path(path)}", "bold")
    for share in job.shares:
        line.append(
            f"\n  {printable(share.node)}: {share.served_by} (rung {share.rung}), {counted(share.pieces, 'piece')}",
            "dim",
        )
    return line


def _missing(job: JobFigures, written: Written) -> list[str]:
    """Each gap, and what to type."""
    if not written.gaps:
        return []
    return [*(gap.words for gap in written.gaps), f"clustercore retry {job.id} tries again what is missing"]


def _print_ids(submitted: Sequence[Submitted], *, as_json: bool) -> None:
    for one in submitted:
        file = os.fsencode(one.path).decode("utf-8", "replace")
        if as_json:
            write_json_line({"file": file, "job": one.job_id, "new": one.is_new})
        else:
            sys.stdout.write(f"{one.job_id}\n")
