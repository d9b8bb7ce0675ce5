"""`clustercore demo`: two worker nodes on this machine share one recording, before your eyes."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from rich.panel import Panel
from rich.text import Text
from typer import Argument, Option

import transcription
from clustercore.config.environment import environment
from clustercore.embedded.adapters.locks import try_lock
from clustercore.embedded.services import stop
from clustercore.jobs.domain.lifecycle import FINAL_JOB_STATES
from clustercore.jobs.models import Job
from clustercore.jobs.services.control import cancel_job, remove_job
from clustercore.project.command_line.cluster import account
from clustercore.project.command_line.console import CommandError, ExitCode, output, remark, say
from clustercore.project.command_line.demo_model import bring_model
from clustercore.project.command_line.figures import PIECES_STAGE, JobFigures, UnitFigures
from clustercore.project.command_line.hub import Hub, NodeWish, running_hub
from clustercore.project.command_line.inputs import files_meant
from clustercore.project.command_line.ledger import units_of
from clustercore.project.command_line.outputs import Exporting, write_exports
from clustercore.project.command_line.privacy import as_the_user_wishes
from clustercore.project.command_line.rendering import duration, pieces_table, quality_hint
from clustercore.project.command_line.servers import run_directory
from clustercore.project.command_line.up import LOCK, stop_signals
from clustercore.project.command_line.watching import StoppedWatching, watch
from transcription.domain.accuracy import word_error_rate
from transcription.domain.transcript import Transcript
from transcription.selectors import transcript_of
from transcription.services.submit import Wishes, submit_transcription

SAMPLES = Path(transcription.__file__).parent / "samples"
BUNDLED, SCRIPT = SAMPLES / "conversation.opus", SAMPLES / "conversation.txt"
NODES = ("demo-one", "demo-two")
PIECE_SECONDS = 27.0
"""Whisper hears windows of 30 s: a shorter piece costs it as much as one of these."""
OUTPUT_DIRECTORY = "clustercore-demo"
_LINGER_SECONDS = 2.0
_MOST_RESTARTS = 2


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

    Exit codes: 0 if the transcript is complete, 1 if not, 130 after Ctrl-C.
    """
    if sys.platform == "win32":
        raise CommandError("the demo brings servers that need Linux or macOS", ExitCode.USAGE)
    began = time.monotonic()
    recording = _recording(file, engine)
    with _alone(), stop_signals() as stopping, _servers_stopped_after():
        if pull:
            bring_model(_tell(began), engine, own_file=file is not None)
        wishes = [NodeWish(name, 1) for name in NODES]
        with running_hub(wishes, _tell(began), linger_seconds=_LINGER_SECONDS) as hub:
            stopping.hub = hub
            # The nodes stay with the servers: it asked its last question.
            hub.ledger.close()
            forget_earlier_demos()
            job, _ = submit_transcription(account(), recording.path, recording.path.name, recording.wishes)
            try:
                [figures] = watch([job.pk], _keeping(hub))
            except StoppedWatching:
                remark("Stopping the demo …")
                return ExitCode.INTERRUPTED
            units = [unit for unit in units_of(job.pk) if unit.stage == PIECES_STAGE]
            code = _show(recording, figures, units, began)
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


def _show(recording: Recording, job: JobFigures, units: list[UnitFigures], began: float) -> int:
    if job.state != "done":
        raise CommandError(
            f"the demo's job {job.state}: {(job.error or job.waiting).rstrip('.')}. Logs: {environment().data_dir}/logs"
        )
    transcript = transcript_of(job.id)
    output().print(Panel(Text(transcript.text), title="What the two nodes heard"))
    output().print(pieces_table(units))
    complete = all(unit.state == "done" for unit in units) and bool(transcript.text or recording.script is None)
    paths = _export(transcript, recording.path)
    nodes, rungs = len({unit.node for unit in units}), ", ".join(sorted({_rung(unit) for unit in units}))
    say(
        f"\n{duration(job.audio_seconds)} of sound in {len(units)} pieces on {nodes} nodes: "
        f"{job.elapsed:.0f} s for the job, {time.monotonic() - began:.0f} s since you pressed enter."
    )
    say(f"Served by {rungs}.")
    if recording.script is not None:
        rate = word_error_rate(recording.script, transcript.text)
        say(f"Against what is said in it: word error rate {100 * rate:.0f} %", "bold")
    say(f"Captions: {paths['srt']}", "bold")
    hint = quality_hint([job])
    if hint:
        say(f"{hint}\nThen run the demo again: the better model is used by itself.", "yellow")
    say("Next: `clustercore up -d`, then `clustercore transcribe FILE`.")
    return ExitCode.DONE if complete else ExitCode.FAILED


def _rung(unit: UnitFigures) -> str:
    return f"{unit.served_by} (rung {unit.rung})"


def _export(transcript: Transcript, recording: Path) -> dict[str, Path]:
    for directory in (Path.cwd() / OUTPUT_DIRECTORY, environment().data_dir):
        try:
            with as_the_user_wishes():
                directory.mkdir(parents=True, exist_ok=True)
            return write_exports(transcript, recording, Exporting(["srt", "txt"], directory, force=True))
        except OSError:
            continue
    raise CommandError(f"the captions cannot be written, neither here nor in {environment().data_dir}")


def _keeping(hub: Hub) -> Callable[[], None]:
    return lambda: hub.keep(remark, _MOST_RESTARTS)


def _tell(began: float) -> Callable[[str], None]:
    return lambda text: remark(f"{time.monotonic() - began:5.1f} s  {text}", "dim")


@contextmanager
def _alone() -> Iterator[None]:
    lock = try_lock(run_directory() / LOCK)
    if lock is None:
        raise CommandError("a demo is running already")
    try:
        yield
    finally:
        os.close(lock)


@contextmanager
def _servers_stopped_after() -> Iterator[None]:
    try:
        yield
    finally:
        stop(environment().data_dir)
