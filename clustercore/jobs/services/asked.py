"""From what somebody says, field by field, to a request for a job of any kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from clustercore.jobs.domain.job_request import InvalidRequest, JobRequest
from clustercore.jobs.domain.kinds import JobKind
from clustercore.jobs.services.sent_files import Sent, printable

QUALITIES = ("any", "normal", "best")
LOWEST_PRIORITY, HIGHEST_PRIORITY = -100, 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What may be said of a job of any kind."""

    title: str = ""
    """What it is called; empty: its file's name, or what its kind is called."""
    priority: int = 0
    quality: str = "normal"
    """Of the models that serve it. `normal`: none more than one tier below the best live one; `best`: the best only;
    `any`: every tier."""
    engine: str = ""
    """`engine` or `engine:model`, when only that will do."""
    idempotency_key: str | None = None


def request_for(kind: JobKind, said: Mapping[str, Any], options: Options, sent: Sent | None = None) -> JobRequest:
    """Returns the request, with its parameters as the kind's own class understands them. Raises InvalidRequest."""
    _check(kind, options, sent)
    engine, _, model = options.engine.partition(":")
    return JobRequest(
        kind=kind.name,
        title=printable(options.title) if options.title else "",
        fallback_title=printable(sent.name) if sent is not None else kind.noun,
        parameters=_parameters(kind, said),
        priority=options.priority,
        min_rung=0 if options.quality == "any" else None,
        critical_accuracy=options.quality == "best",
        engine=engine,
        model=model,
        idempotency_key=options.idempotency_key,
    )


def _parameters(kind: JobKind, said: Mapping[str, Any]) -> dict[str, Any]:
    if kind.parameters is None:
        raise InvalidRequest("kind", f"{kind.noun} has a door of its own, and is not asked for here")
    unknown = sorted(set(said) - set(kind.parameters.model_fields))
    if unknown:
        can = ", ".join(kind.parameters.model_fields) or "nothing"
        raise InvalidRequest(unknown[0], f"cannot be said of a {kind.noun.lower()}; these can: {can}")
    try:
        return kind.parameters.model_validate(dict(said)).model_dump(mode="json")
    except ValidationError as wrong:
        first = wrong.errors(include_url=False)[0]
        raise InvalidRequest(str(first["loc"][0]) if first["loc"] else "parameters", first["msg"]) from None


def _check(kind: JobKind, options: Options, sent: Sent | None) -> None:
    if kind.takes_file and sent is None:
        raise InvalidRequest("file", f"a {kind.noun.lower()} is about one file: send it")
    if sent is not None and not kind.takes_file:
        raise InvalidRequest("file", f"a {kind.noun.lower()} is about no file")
    if options.quality not in QUALITIES:
        raise InvalidRequest("quality", f"{options.quality!r} is not one of {', '.join(QUALITIES)}")
    if not LOWEST_PRIORITY <= options.priority <= HIGHEST_PRIORITY:
        raise InvalidRequest("priority", f"{options.priority} is not between {LOWEST_PRIORITY} and {HIGHEST_PRIORITY}")
    key = options.idempotency_key
    if key is not None and not (0 < len(key) <= 200 and key.isprintable()):
        raise InvalidRequest("Idempotency-Key", "1 to 200 printable characters")
