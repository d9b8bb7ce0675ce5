"""A task that does nothing but one call of an engine host, for tests of the worker around it."""

from __future__ import annotations

from typing import Any

from celery import shared_task

from clustercore.nodes.adapters.agent import current_agent
from clustercore.nodes.domain.engine import EngineFailure
from clustercore.nodes.domain.hooks import HostDied


@shared_task(name="fakes.call")
def call(engine: str, request: dict[str, Any], tag: str = "unit") -> dict[str, Any]:
    """What the engine answered, or how it failed."""
    agent = current_agent()
    try:
        with agent.working(tag):
            return {"result": dict(agent.hosts.call(engine, "plain", request, tag=tag, on_report=lambda *_: None))}
    except HostDied as death:
        return {"died": death.reason, "deliberate": death.deliberate}
    except EngineFailure as failure:
        return {"failure": failure.code}


@shared_task(name="fakes.bar")
def bar(reasons: dict[str, str]) -> None:
    """Bars capabilities, as the ledger's room does."""
    current_agent().bar(reasons)
