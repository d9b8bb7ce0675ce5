"""Kinds of job register themselves here; the kernel names none of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import BaseModel

from clustercore.jobs.domain.job_request import JobRequest
from clustercore.jobs.domain.new_unit import After, NewUnit
from clustercore.jobs.domain.progression import StageRule
from clustercore.jobs.domain.unit_context import UnitContext
from clustercore.jobs.domain.verdict import Verdict
from clustercore.nodes.domain.queues import ANY, queue_for


@dataclass(frozen=True, slots=True)
class QueuedUnit:
    "A unit that was just queued, as its stage's `queued` is told of it."

    unit_id: int
    ordinal: int
    payload: Mapping[str, Any]


Handler = Callable[[UnitContext], Verdict]
Recorder = Callable[[int, Mapping[str, Any]], None]
QueueRecorder = Callable[[int, Sequence[QueuedUnit]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage of a kind of job: its name and its handler; all else has a default that loses nothing.

    The first has `opens="start"`; one whose units are queued by an earlier one has `opens="producer"`. One with
    `opens="barrier"` has one unit, there from the start, which waits for the stage before it.
    """

    name: str
    handler: Handler
    task: str = ""
    """The Celery task that is its door, `package.verb`; by default `kind.stage`."""
    capability: str = ANY
    """What a node must be able to do; by default nothing beyond running the handler."""
    opens: Literal["", "start", "producer", "barrier"] = ""
    """By default the first is there from the start, and an earlier one makes the units of every other."""
    record: Recorder | None = None
    """Called with (unit id, result) inside the transaction that completes the unit."""
    record_locks_job: bool = True
    """Whether `record` needs the job's row lock: it reads or writes what belongs to more than the one unit. Where not,
    nodes that complete units of one job record beside each other."""
    held: Callable[[int], str] | None = None
    """Given the job id, under its row lock: a reason to keep new units from being claimed until they are released."""
    queued: QueueRecorder | None = None
    """Called with (job id, all new units of one call in order) inside the transaction that queues them, after their
    references are written."""
    self_contained: bool = False
    """Whether its result follows from the unit's payload and the job's parameters alone, and it queues nothing: then a
    result of the time before a restore still fits."""
    made_by: str = ""
    """The earlier stage that makes this one's blobs: where one is missing, a further unit of it makes it again."""
    tolerance: float = 0.0
    """The share of its units that may fail without failing the job: 0 none, 1 all. What waits for the stage runs all
    the same, if anything of it is done, and the job ends with gaps."""
    ranked: bool = False
    """Whether the rung floor and what the job needs apply (a stage that recognises, not one that copies)."""
    needs: tuple[str, ...] = ()
    """The traits that a model must have for its units, beside what `NewUnit.needs` says of one."""
    prefers: tuple[str, ...] = ()
    """The traits that it must have too, unless no live node offers them."""
    repeat: Literal["always", "never"] = "always"
    """`never`: an attempt that ends without a verdict of its handler holds the unit until a person says what to do."""
    contract: int = 1
    """What its handler makes of a payload: raise it with any change by which nodes of before and of after would do the
    same unit differently. Whoever knows another number is not given its units, whatever its version."""
    light: bool = False
    """Whether its units finish a begun job, or are nearly free: then they go before whatever begins another job of the
    same priority. Not for a stage that opens a job, or all would be begun before any is finished."""


@dataclass(frozen=True, slots=True)
class Remedies:
    """What helps where no node can serve, as a sentence goes on with it."""

    model: str = ""
    """How a node gets a model that can: "`clustercore models pull …` on one"."""
    lower: str = ""
    """How to let models of lower tiers serve: "submit with …"."""


NO_REMEDIES = Remedies()


class NoParameters(BaseModel):
    """Nothing may be said."""


COMMON_FIELDS = frozenset({"file", "upload", "path", "title", "priority", "quality", "engine", "blob"})
"""What a request for a job of any kind may have beside the parameters of its kind."""
_NAME = re.compile(r"[a-z][a-z0-9 _-]{0,39}")


@dataclass(frozen=True, slots=True, kw_only=True)
class KindOutline:
    """What is to be known of a kind of job where it is only looked at: its name, its stages in order, the main one."""

    name: str
    stages: tuple[str, ...]
    main_stage: str
    main_capability: str
    """What the units of the main stage need of a node."""
    main_ranked: bool
    """Whether the rung of a node's model counts for them."""
    amount_unit: str = ""
    """What the weights of the main stage's units count, as said after a number: `s of sound`; empty: nothing of use."""
    unit_noun: str = "unit"
    """What a person calls one unit of the main stage."""
    unit_labels: str = ""
    """Names a function, as `package.module:name`, that tells from ids of units which part of the job each is."""
    result_command: str = ""
    """What is typed, before the job's number, for its result: `clustercore export`."""
    remedies: Remedies = NO_REMEDIES
    """What helps where no node can do the main stage."""

    @property
    def before_main(self) -> tuple[str, ...]:
        """Returns the stages that make the units of the main stage: while one is open, more may come."""
        return self.stages[: self.stages.index(self.main_stage)]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobKind:
    """A kind of job: its name and its stages in order; all else has a default that loses nothing.

    Raises ValueError that names the part that is wrong.
    """

    name: str
    stages: tuple[Stage, ...]
    ring: Callable[[int, str, Sequence[int]], None] | None = None
    """Sends the canvas for units just queued, given (job id, stage, unit ids); called after their commit. By default a
    message for each slot that is free."""
    main_stage: str = ""
    """The stage whose units people count: the pieces of a recording, say. By default the last that is no barrier."""
    noun: str = ""
    """What a person calls one, with a capital: `Transcription`. By default the kind's name."""
    amount_unit: str = ""
    """The word for its units' amounts (`NewUnit.weight`): `pages`. Empty: amounts are not told."""
    parameters: type[BaseModel] | None = NoParameters
    """What may be asked, field by field, of a job of this kind by the doors that all kinds share: the API, the form and
    the command. None for a kind that has doors of its own alone."""
    takes_file: bool = False
    """Whether each job is about one file, whose hash is `parameters["blob"]`."""
    remedies: Remedies = NO_REMEDIES
    """What helps where no node can do the main stage."""
    gather: Callable[[int, int], None] | None = None
    """Sends the canvas that works a stage off and then runs the unit that waits for it, given (job id, unit id);
    called after the commit of what queued the last unit of that stage."""
    submitted: Callable[[int, JobRequest], None] | None = None
    """Called with (job id, request) inside the transaction that writes the job: what the kind keeps of it."""
    unit_noun: str = "unit"
    unit_labels: str = ""
    result_command: str = ""
    """These three as the outline tells them."""

    def __post_init__(self) -> None:
        """Fills in what follows from the rest. Raises ValueError."""
        refuse_incomplete(self)
        first, *others = self.stages
        stages = (_filled(self, first, "start"), *(_filled(self, stage, "producer") for stage in others))
        object.__setattr__(self, "stages", stages)
        object.__setattr__(self, "noun", self.noun or self.name.replace("_", " ").replace("-", " ").capitalize())
        counted = [stage.name for stage in stages if stage.opens != "barrier"]
        object.__setattr__(self, "main_stage", self.main_stage or counted[-1])

    def send(self, job_id: int, stage: str, unit_ids: Sequence[int]) -> None:
        """Sends messages for units that were queued; called after their commit."""
        if self.ring is not None:
            self.ring(job_id, stage, unit_ids)
        else:
            _USUAL_SENDER[0](self.name, stage, unit_ids)

    @property
    def outline(self) -> KindOutline:
        """Returns what `outline_of` tells of it."""
        main = self.stage(self.main_stage)
        return KindOutline(
            name=self.name,
            stages=tuple(stage.name for stage in self.stages),
            main_stage=main.name,
            main_capability=main.capability,
            main_ranked=main.ranked,
            amount_unit=self.amount_unit,
            unit_noun=self.unit_noun,
            unit_labels=self.unit_labels,
            result_command=self.result_command,
            remedies=self.remedies,
        )

    @property
    def rules(self) -> list[StageRule]:
        """Returns how much failure each stage bears."""
        return [StageRule(stage.name, stage.tolerance) for stage in self.stages]

    @property
    def order(self) -> Mapping[str, int]:
        """Returns the place of each stage, by name; a job of a later version may have others."""
        return {stage.name: place for place, stage in enumerate(self.stages)}

    def barriers(self, start: int = 0) -> list[NewUnit]:
        """Returns the unit of each barrier from the stage of that number on, each after the stage before its own."""
        return [
            NewUnit(stage=stage.name, ordinal=0, after=[After(stage=before.name)])
            for before, stage in zip(self.stages[start:], self.stages[start + 1 :], strict=False)
            if stage.opens == "barrier"
        ]

    def stage(self, name: str) -> Stage:
        """The stage of that name. Raises KeyError."""
        for stage in self.stages:
            if stage.name == name:
                return stage
        raise KeyError(f"kind {self.name!r} has no stage {name!r}; it has {[s.name for s in self.stages]}")


def refuse_incomplete(kind: JobKind) -> None:
    """Raises ValueError that names what is wrong with a kind, or missing from it."""
    stages = [stage.name for stage in kind.stages]
    if not _NAME.fullmatch(kind.name):
        raise ValueError(f"{kind.name!r} cannot name a kind: small letters, digits, '-', '_' and spaces, at most 40")
    if not stages or kind.stages[0].opens not in ("", "start"):
        raise ValueError(f"the kind {kind.name!r} has no stage that opens with the job")
    if len(set(stages)) < len(stages):
        raise ValueError(f"the kind {kind.name!r} has two stages of one name: {stages}")
    if kind.main_stage not in ("", *stages):
        raise ValueError(f"the main stage {kind.main_stage!r} of {kind.name!r} is not one of its stages: {stages}")
    for place, stage in enumerate(kind.stages):
        if not callable(stage.handler):
            raise ValueError(f"the stage {stage.name!r} of {kind.name!r} has no handler")
        if stage.made_by and stage.made_by not in stages[:place]:
            raise ValueError(f"{stage.name!r} of {kind.name!r} is made by {stage.made_by!r}, which is no earlier stage")
        queue_for(stage.capability)
    taken = COMMON_FIELDS & {*(kind.parameters.model_fields if kind.parameters is not None else ())}
    if taken:
        raise ValueError(f"the parameters of {kind.name!r} have a field {min(taken)!r}, which every request has")


def _filled(kind: JobKind, stage: Stage, opens: Literal["start", "producer"]) -> Stage:
    return replace(stage, task=stage.task or f"{kind.name}.{stage.name}", opens=stage.opens or opens)


_USUAL_SENDER: list[Callable[[str, str, Sequence[int]], None]] = [lambda *_: None]


def send_usually_by(sender: Callable[[str, str, Sequence[int]], None]) -> None:
    """From now on kinds without a canvas of their own send by this, given (kind, stage, unit ids)."""
    _USUAL_SENDER[0] = sender


_KINDS: dict[str, JobKind] = {}
_OUTLINES: dict[str, KindOutline] = {}


def outline(kind: KindOutline) -> None:
    """Makes a kind's outline known, for processes in which the kind itself is not loaded."""
    _OUTLINES[kind.name] = kind


def outline_of(name: str) -> KindOutline | None:
    """Returns the outline of a kind; None for one that this process does not know."""
    kind = _KINDS.get(name)
    return kind.outline if kind is not None else _OUTLINES.get(name)


def remedies_of(name: str) -> Remedies:
    """Returns what helps where no node can serve a kind of job; nothing for one that this process does not know."""
    kind = outline_of(name)
    return kind.remedies if kind is not None else NO_REMEDIES


def outlines() -> list[KindOutline]:
    """Returns the outline of every kind that this process knows, loaded or not."""
    return list({**_OUTLINES, **{kind.name: kind.outline for kind in _KINDS.values()}}.values())


def register(kind: JobKind) -> None:
    """Makes a kind of job known. Raises ValueError for the same name twice, and for one that its outline belies."""
    if kind.name in _KINDS:
        raise ValueError(f"a kind of job named {kind.name!r} is already registered")
    if _OUTLINES.get(kind.name, kind.outline) != kind.outline:
        raise ValueError(f"the outline of {kind.name!r} names other stages: {_OUTLINES[kind.name]}")
    _KINDS[kind.name] = kind


def kind_named(name: str) -> JobKind:
    """The registered kind. Raises KeyError that lists what there is."""
    try:
        return _KINDS[name]
    except KeyError:
        raise KeyError(f"no kind of job named {name!r}; registered: {sorted(_KINDS)}") from None


def kinds() -> list[JobKind]:
    """Returns every registered kind."""
    return list(_KINDS.values())


def known_contracts() -> tuple[str, ...]:
    """Returns "kind/stage/number" of every registered stage: what this process can be given."""
    return tuple(f"{kind.name}/{stage.name}/{stage.contract}" for kind in _KINDS.values() for stage in kind.stages)


def light_stages() -> list[tuple[str, str]]:
    """Returns (kind, stage) of all light stages."""
    return [(kind.name, stage.name) for kind in _KINDS.values() for stage in kind.stages if stage.light]
