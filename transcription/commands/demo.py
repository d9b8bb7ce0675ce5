"""`clustercore demo`: two worker nodes on this machine share one recording, before your eyes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from rich.panel import Panel
from rich.table import Table
from rich.text import Text
from typer import Argument, Option

import transcription
from clustercore.access.adapters.account import account
from clustercore.config.environment import environment
from clustercore.jobs.commands.rendering import seconds_text, served_words
from clustercore.jobs.commands.watching import StoppedWatching, watch
from clustercore.jobs.domain.amounts import pace_words
from clustercore.jobs.domain.lifecycle import FINAL_JOB_STATES
from clustercore.jobs.domain.progress import JobProgress, UnitProgress
from clustercore.jobs.models import Job
from clustercore.jobs.selectors.units import units_of
from clustercore.jobs.services.control import cancel_job, remove_job
from clustercore.terminal.adapters.console import output, remark, say
from clustercore.terminal.adapters.privacy import as_the_user_wishes
from clustercore.terminal.adapters.tables import table
from clustercore.terminal.domain.endings import CommandError, ExitCode
from clustercore.terminal.domain.humanize import clock_words, printable
from clustercore.terminal.services.program import private_cluster
from transcription.commands.demo_model import bring_model
from transcription.commands.inputs import files_meant
from transcription.commands.outputs import Exporting, write_exports
from transcription.commands.results import quality_hint
from transcription.domain.accuracy import word_error_rate
from transcription.domain.stages import OUTLINE
from transcription.domain.transcript import Transcript
from transcription.selectors import spans_of, transcript_of
from transcription.services.submit import Wishes, submit_transcription

SAMPLES = Path(transcription.__file__).parent / "samples"
BUNDLED, SCRIPT = SAMPLES / "conversation.opus", SAMPLES / "conversation.txt"
NODES = ("demo-one", "demo-two")
PIECE_SECONDS = 27.0
"""Whisper hears windows of 30 s: a shorter piece costs it as much as one of these."""
OUTPUT_DIRECTORY = "clustercore-demo"


@dataclass(frozen=True, slots=True)
class Recording:
    """What the demo transcribes, and what is known of it."""

    path: Path
    wishes: Wishes
    script: str | None = None
    """What is said in it, where that is known."""


FileArgument = Annotated[str | None, Argument(metavar="[FILE]", help="A recording of your own.")]
EngineOption = Annotated[str, Option(help="Only this engine, as pocketsphinx; by default the best that is here.")]
PullOption = Annotated[bool, Option("--pull/--no-pull", help="Bring a model of Whisper where none is here.")]


def demo(file: FileArgument = None, engine: EngineOption = "", pull: PullOption = True) -> int:
    """See it work, with nothing configured: two nodes on this machine share one recording.

    A small model of Whisper is brought first where that can be done (79 MB, once; 148 MB, of any language, for a
    recording of your own); else PocketSphinx serves, and why
    is said. Private servers and two worker nodes start, a bundled conversation is cut at its pauses, both nodes
    transcribe pieces of it, the text is merged and compared with what was said. Everything but the model lies in
    `demo` of your data directory, and nothing goes on running. Better models that you have pulled are used by
    themselves.

    Examples:

      clustercore demo

      clustercore demo talk.mp3

    Exit codes: 0 if the transcript is complete, 1 if not, 130 after Ctrl-C.
    """
    began = time.monotonic()
    recording = _recording(file, engine)
    tell = _tell(began)

    def prepare() -> None:
        if pull:
            bring_model(tell, engine, own_file=file is not None)

    with private_cluster(NODES, prepare, tell) as keep:
        forget_earlier_demos()
        job, _ = submit_transcription(account(), recording.path, recording.path.name, recording.wishes)
        try:
            [found] = watch([job.pk], keep)
        except StoppedWatching:
            remark("Stopping the demo …")
            return ExitCode.INTERRUPTED
        units = [unit for unit in units_of(job.pk) if unit.stage == OUTLINE.main_stage]
        code = _show(recording, found, units, began)
        remark("… stopping both nodes, the web process and the servers", "dim")
    remark(f"Nothing goes on running. The whole demo took {time.monotonic() - began:.0f} s.", "dim")
    return code


def _recording(file: str | None, engine: str) -> Recording:
    if file is None:
        wishes = Wishes(language="en", piece_seconds=PIECE_SECONDS, engine=engine)
        return Recording(BUNDLED, wishes, SCRIPT.read_text(encoding="utf-8"))
    [path] = files_meant([file])
    return Recording(path, Wishes(engine=engine))


def forget_earlier_demos() -> None:
    """What an earlier demo left in its ledger and its store is deleted, an interrupted one included."""
    for job in Job.objects.all():
        if job.state not in FINAL_JOB_STATES:
            cancel_job(job.pk, "an earlier demo was interrupted")
        remove_job(job.pk)


def _show(recording: Recording, job: JobProgress, units: list[UnitProgress], began: float) -> int:
    if job.state != "done":
        raise CommandError(
            f"the demo's job {job.state}: {(job.error or job.waiting).rstrip('.')}. Logs: {environment().data_dir}/logs"
        )
    transcript = transcript_of(job.id)
    output().print(Panel(Text(transcript.text), title="What the two nodes heard"))
    output().print(_pieces_table(units))
    complete = all(unit.state == "done" for unit in units) and bool(transcript.text or recording.script is None)
    paths = _export(transcript, recording.path)
    nodes = len({unit.node for unit in units})
    served = ", ".join(sorted({served_words(unit.served_by, unit.rung) for unit in units}))
    say(
        f"\n{clock_words(transcript.seconds)} of sound in {len(units)} pieces on {nodes} nodes: "
        f"{job.elapsed_seconds:.0f} s for the job, {time.monotonic() - began:.0f} s since you pressed enter."
    )
    say(f"Served by {served}.")
    if recording.script is not None:
        rate = word_error_rate(recording.script, transcript.text)
        say(f"Against what is said in it: word error rate {100 * rate:.0f} %", "bold")
    say(f"Captions: {paths['srt']}", "bold")
    hint = quality_hint([job])
    if hint:
        say(f"{hint}\nThen run the demo again: the better model is used by itself.", "yellow")
    say("Next: `clustercore up -d`, then `clustercore transcribe FILE`.")
    return ExitCode.DONE if complete else ExitCode.FAILED


def _pieces_table(units: list[UnitProgress]) -> Table:
    """Who heard what, with which rung, how fast."""
    listed = table("piece", "from–to", "node", "served by", "took", "speed", right=("piece", "took"))  # noqa: RUF001
    spans = spans_of([unit.id for unit in units])
    for unit in units:
        listed.add_row(
            str(unit.ordinal + 1), spans.get(unit.id, ""), Text(printable(unit.node, 24)),
            Text(served_words(unit.served_by, unit.rung)), seconds_text(unit.seconds),
            pace_words(unit.speed, OUTLINE.amount_unit),
        )  # fmt: skip
    return listed


def _export(transcript: Transcript, recording: Path) -> dict[str, Path]:
    for directory in (Path.cwd() / OUTPUT_DIRECTORY, environment().data_dir):
        try:
            with as_the_user_wishes():
                directory.mkdir(parents=True, exist_ok=True)
            return write_exports(transcript, recording, Exporting(["srt", "txt"], directory, force=True))
        except OSError:
            continue
    raise CommandError(f"the captions cannot be written, neither here nor in {environment().data_dir}")


def _tell(began: float) -> Callable[[str], None]:
    return lambda text: remark(f"{time.monotonic() - began:5.1f} s  {text}", "dim")
