"""One soak from its seed to its verdict."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.db import connection

from clustercore.jobs.models import Counter as LedgerCounter
from clustercore.jobs.models import Job
from tests.faults.cluster import states_of
from tests.faults.recording import Recording, make_recording
from tests.faults.soak.acts import Acts, Skipped
from tests.faults.soak.load import Load
from tests.faults.soak.schedule import KINDS, Fault, schedule
from tests.faults.soak.site import Site, running_site
from tests.faults.soak.verdict import Looked, Verdict, look, looked_from, units_of, verdict
from tests.faults.soak.watcher import Watcher
from tests.faults.waiting import AWAY, until
from tests.fork_server import ROOT

RESULT = ROOT / "benchmarks/results/faults/soak.json"
SIZES = (6, 12, 18, 24, 40, 60)
"""Words of the recordings that are sent all the time."""

SHARED_WORDS, FOREIGN_WORDS = 150, 16
FOREIGN_FIRST = 40_000
PIECE_TAKES, PIECE_TAKES_ABROAD = "0.4", "3.0"
"""Seconds that an engine takes for a piece, here and at the second cluster."""

DRAIN_SECONDS = 300.0
HARMS = ("lost", "duplicated", "foreign", "inexact", "silent_waits", "failed_acts")


@dataclass
class Soak:
    """What a soak saw."""

    seed: int
    seconds: float
    began: float = field(default_factory=time.monotonic)
    faults: Counter[str] = field(default_factory=Counter)
    skipped: dict[str, str] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    def tell(self, text: str) -> None:
        """A line of the report, with the seconds since the beginning."""
        sys.stdout.write(f"{time.monotonic() - self.began:6.1f} s  {text}\n")
        sys.stdout.flush()

    def play(self, fault: Fault, acts: Acts) -> None:
        """Does a fault, waits as long as it lasts, and undoes it."""
        told = " ".join([fault.name, *(f"{name}={value}" for name, value in fault.parameters.items())])
        self.tell(f"{told} for {fault.seconds} s")
        try:
            with acts.named(fault.name)(**fault.parameters):
                time.sleep(fault.seconds)
        except Skipped as reason:
            self.skipped[fault.name] = str(reason)
            return
        except Exception as error:
            self.failed.append(f"{told}: {type(error).__name__}")
            self.tell(f"FAILED {told}: {error}")
            connection.close()
        self.faults[fault.name] += 1
        self.tell(f"{fault.name} is over")


def soak(directory: Path, seed: int, seconds: float, names: Sequence[str]) -> int:
    """Plays the schedule of a seed on a fresh site; prints and writes the verdict. Returns the exit code."""
    # Whoever kills the database knows that connections to it break.
    logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)
    seen, planned = Soak(seed, seconds), schedule(seed, seconds, names)
    seen.tell(f"seed {seed}: {len(planned)} faults in {seconds:g} s; again with: {_again(seed, seconds, names)}")
    recordings = [make_recording(directory, f"r{words}", words, 1000 * (n + 1)) for n, words in enumerate(SIZES)]
    shared = make_recording(directory, "shared", SHARED_WORDS, 20_000)
    foreign = make_recording(directory, "foreign", FOREIGN_WORDS, FOREIGN_FIRST)
    with running_site(directory) as site:
        metrics = _play_all(seen, planned, site, Load(recordings), shared, foreign)
    seen.tell(f"seed {seed}; again with: {_again(seed, seconds, names)}")
    document = {"benchmark": "soak", "metrics": metrics}
    if tuple(names) == tuple(KINDS):
        RESULT.write_text(json.dumps(document, indent=2) + "\n")
    sys.stdout.write(json.dumps(document) + "\n")
    return int(any(metrics[harm] for harm in HARMS))


def _again(seed: int, seconds: float, names: Sequence[str]) -> str:
    only = "" if tuple(names) == tuple(KINDS) else f" --only {','.join(names)}"
    return f'make soak ARGS="--seed {seed} --seconds {seconds:g}{only}"'


def _play_all(
    seen: Soak, planned: Sequence[Fault], site: Site, load: Load, shared: Recording, foreign: Recording
) -> dict[str, Any]:
    acts, watcher = Acts(site, load, shared, foreign), Watcher(seen.tell, site.hub_disk)
    site.cluster.pull(seconds=PIECE_TAKES)
    site.abroad.pull(seconds=PIECE_TAKES_ABROAD)
    seen.began = time.monotonic()
    load.start()
    watcher.start()
    try:
        for fault in planned:
            time.sleep(max(0.0, seen.began + fault.at - time.monotonic()))
            if time.monotonic() - seen.began > seen.seconds:
                break
            seen.play(fault, acts)
        load.stop()
        seen.tell("no further faults and jobs; what is open ends")
        _drain(seen, load, acts)
    finally:
        load.stop()
        watcher.stop()
    return _judge(seen, site, load, acts, watcher)


def _drain(seen: Soak, load: Load, acts: Acts) -> None:
    with suppress(AssertionError):
        until(lambda: not load.open_jobs(), DRAIN_SECONDS, "jobs are open")
    if acts.foreign_jobs:
        try:
            acts.finish_abroad()
        except AssertionError as error:
            seen.failed.append(str(error))
    seen.tell("the end")


def _judge(seen: Soak, site: Site, load: Load, acts: Acts, watcher: Watcher) -> dict[str, Any]:
    with suppress(*AWAY):
        connection.close()
    standing = [look(job) for job in Job.objects.filter(pk__in=list(load.accepted))]
    here = _verdict([*standing, *load.removed], load.accepted, acts.foreign_words, units=True)
    looked = [looked_from(one) for one in site.at_second_cluster("seen")]
    there = _verdict(looked, acts.foreign_jobs, frozenset(word for one in load.accepted.values() for word in one.words))
    for one in [*here.unlike, *there.unlike]:
        seen.tell(f"job {one.job} {one.title} {one.state}, done twice {one.done_twice}: {one.error}; {_units(one)}")
    return {
        "seed": seen.seed,
        "seconds": round(time.monotonic() - seen.began, 1),
        "jobs": here.jobs,
        "jobs_of_the_second_cluster": there.jobs,
        "removed_while_shared": len(load.removed),
        "submissions_tried_again": load.refused,
        "lost": here.lost + there.lost,
        "duplicated": here.duplicated + there.duplicated,
        "foreign": here.foreign + there.foreign,
        "inexact": here.inexact + there.inexact,
        "silent_waits": len(watcher.silent),
        "looks": watcher.looks,
        "failed_acts": seen.failed,
        "faults": dict(sorted(seen.faults.items())),
        "skipped": seen.skipped,
        "counters": dict(LedgerCounter.objects.values_list("name", "value")),
    }


def _verdict(
    looks: Sequence[Looked], jobs: dict[int, Recording], elsewhere: frozenset[str], *, units: bool = False
) -> Verdict:
    spoken = {number: recording.words for number, recording in jobs.items()}
    return verdict(looks, spoken, elsewhere, units_of(list(jobs)) if units else [])


def _units(one: Looked) -> dict[str, int]:
    return states_of(Job(pk=one.job))
