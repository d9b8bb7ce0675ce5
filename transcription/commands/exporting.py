"""`clustercore export`: the texts of jobs, whenever they are wanted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from clustercore.jobs.commands.reading import jobs_now, require_jobs
from clustercore.jobs.domain.progress import JobProgress
from clustercore.terminal.adapters.console import complain, remark, say
from clustercore.terminal.domain.endings import CommandError, ExitCode
from clustercore.terminal.domain.humanize import printable_path
from clustercore.terminal.services.program import cluster
from transcription.commands.outputs import (
    NO_WORDS,
    CountOption,
    Exporting,
    FormatsOption,
    WidthOption,
    checked_directory,
    checked_formats,
    write_exports,
)
from transcription.domain.cues import DEFAULT_LAYOUT, Layout
from transcription.domain.naming import safe_name
from transcription.models import Recording
from transcription.selectors import transcript_of


def export(
    ids: Annotated[list[int], Argument(metavar="ID…", min=1, help="Job numbers, as `clustercore jobs` shows them.")],
    formats: FormatsOption = None,
    output_dir: Annotated[Path, Option("--output-dir", "-o", help="By default the current directory.")] = Path(),
    force: Annotated[bool, Option("--force", help="Overwrite; by default talk.srt becomes talk.2.srt.")] = False,
    max_line_width: WidthOption = DEFAULT_LAYOUT.line_width,
    max_line_count: CountOption = DEFAULT_LAYOUT.line_count,
) -> int:
    """Write the texts of jobs; of a job that is not done, what is there so far.

    Examples:

      clustercore export 7

      clustercore export 7 8 -f vtt -o captions

      clustercore export 7 -f srt --max-line-width 32

    Exit codes: 0 written, 1 something could not be, 2 no such job or bad input.
    """
    directory = checked_directory(output_dir) or Path()
    wanted = Exporting(checked_formats(formats or []), directory, force, Layout(max_line_width, max_line_count))
    with cluster():
        require_jobs(ids)
        written = [_write(job, wanted, directory) for job in jobs_now(list(dict.fromkeys(ids)))]
    return ExitCode.DONE if all(written) else ExitCode.FAILED


def _write(job: JobProgress, wanted: Exporting, directory: Path) -> bool:
    try:
        transcript = transcript_of(job.id)
    except Recording.DoesNotExist:
        complain(f"job {job.id} has no text: it is none of a recording, but of the kind {job.kind!r}")
        return False
    if job.state != "done" and not transcript.segments:
        complain(f"job {job.id} is {job.state}, and no text of it was heard")
        return False
    if job.state != "done":
        remark(
            f"job {job.id} is {job.state}: this is what is there so far, {job.done:,} pieces of {job.total:,}", "yellow"
        )
    elif not transcript.segments:
        remark(f"job {job.id}: {NO_WORDS}", "yellow")
    for gap in transcript.gaps:
        remark(f"job {job.id}: {gap.words}", "yellow")
    # A title is a name from outside, and may hold what no file name can.
    source = Path(safe_name(job.title) or f"job-{job.id}")
    try:
        paths = write_exports(transcript, source, wanted)
    except OSError as error:
        raise CommandError(f"job {job.id} could not be written to {directory}: {error.strerror}") from error
    for path in paths.values():
        say(printable_path(path))
    return True
