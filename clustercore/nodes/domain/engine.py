"""What an engine is: the plug-in contract between a node and whatever does the work on it.

An engine is a class named in `CLUSTERCORE_ENGINES` (`package.module:Class`). The node asks it for its inventory;
an engine runner (a child process) loads a model and runs requests. Heavy imports belong inside `load` and `run`,
so that asking for the inventory costs nothing and a missing wheel is a reason, not a crash.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

JsonObject = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRecord:
    """One model that an engine can serve on this machine, or the reason why it cannot."""

    capability: str
    engine: str
    model: str
    traits: tuple[str, ...] = ()
    """What it can do beside its capability, in the words of the kinds of work: `tools`, `lang:de`; `lang:*` is all of
    them."""
    memory_mb: int = 0
    usable: bool = True
    reason: str = ""
    """Why it is not usable, and what to type to make it so. Empty when usable."""


class Report(Protocol):
    """Called by a running engine, at least every few seconds: the lease lives only while it is called."""

    def __call__(self, fraction: float, event: JsonObject | None = None) -> None:
        """`fraction` of the request done (0 to 1); `event` is handed to the caller in the worker as it happens."""


class EngineFailure(Exception):
    """An expected failure of an engine. `code` is stable, `message` is for people and names the remedy."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Loaded:
    """What loading a model really gave: the device in use and any note worth showing."""

    device: str
    note: str = ""
    details: JsonObject = field(default_factory=dict)


class Engine(Protocol):
    """The plug-in contract. Instances are made in the node (for `inventory`) and in the host (for the rest)."""

    name: ClassVar[str]
    capability: ClassVar[str]

    def inventory(self, models_directory: Path) -> list[ModelRecord]:
        """The models this machine could serve, and what is missing; cheap, never raises for a missing wheel."""

    def load(self, model: str, models_directory: Path) -> Loaded:
        """Load `model` into this process. Raises EngineFailure."""

    def run(self, request: JsonObject, report: Report) -> JsonObject:
        """Do one request; JSON in, JSON out, files by path. Raises EngineFailure."""
