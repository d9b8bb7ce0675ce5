"""`clustercore transcribe`: files in, text and captions out."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

from rich.text import Text
from typer import Argument, Option

from clustercore.access.adapters.account import account
from clustercore.blobs.adapters.files import hash_of
from clustercore.jobs.commands.watching import StoppedWatching, say_how_to_go_on, watch
from clustercore.jobs.domain.humanize import ended_words
from clustercore.jobs.domain.job_request import InvalidRequest
from clustercore.jobs.models import Job
from clustercore.jobs.services.control import NotPossible, retry_job
from clustercore.jobs.services.submit import BacklogFull, KeyReused, holder_of_key
from clustercore.terminal.adapters.console import complain, errors, remark, write_json_line
from clustercore.terminal.domain.endings import CommandError, ExitCode
from clustercore.terminal.domain.humanize import printable, printable_path
from clustercore.terminal.services.program import cluster
from transcription.commands.inputs import files_meant, without_texts
from transcription.commands.outputs import (
    CountOption,
    Exporting,
    FormatsOption,
    WidthOption,
    checked_directory,
    checked_formats,
)
from transcription.commands.results import Submitted, finish
from transcription.domain.cues import DEFAULT_LAYOUT, Layout
from transcription.domain.stages import OUTLINE
from transcription.services.submit import Wishes, submit_transcription

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
            say_how_to_go_on([one.job_id for one in submitted], OUTLINE.result_command)
            return ExitCode.INTERRUPTED
        return finish(submitted, jobs, exporting, as_json=as_json)


def _recordings(words: Sequence[str]) -> tuple[list[Path], list[str]]:
    """What is to be transcribed, and what was wrong with the rest, which is told here."""
    left_out: list[str] = []
    paths, texts = without_texts(words, files_meant(words, left_out))
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


def _print_ids(submitted: Sequence[Submitted], *, as_json: bool) -> None:
    for one in submitted:
        file = os.fsencode(one.path).decode("utf-8", "replace")
        if as_json:
            write_json_line({"file": file, "job": one.job_id, "new": one.is_new})
        else:
            sys.stdout.write(f"{one.job_id}\n")
