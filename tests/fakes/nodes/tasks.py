"""Tasks that do nothing but one call of an engine runner, or nothing at all, for tests of the worker around them."""

from __future__ import annotations

import json
import time
from typing import Any

import redis
from celery import shared_task

from clustercore.nodes.adapters.agent import current_agent
from clustercore.nodes.domain.engine import EngineFailure
from clustercore.nodes.domain.hooks import RunnerDied
from clustercore.project.settings import REDIS_URL

OUTCOME = "fakes.outcome."


@shared_task(name="fakes.call", ignore_result=True)
def call(key: str, engine: str, request: dict[str, Any]) -> None:
    """Puts what the engine answered, or how it failed, into Redis."""
    agent = current_agent()
    try:
        result = dict(agent.runners.call(engine, "plain", request, tag=key, on_report=lambda *_: None))
        tell(key, {"result": result})
    except RunnerDied as death:
        tell(key, {"died": death.reason, "deliberate": death.deliberate})
    except EngineFailure as failure:
        tell(key, {"failure": failure.code})


@shared_task(name="fakes.stay", ignore_result=True)
def stay(key: str) -> None:
    """Says that it is there, and keeps its slot for longer than anybody waits."""
    tell(key, {"slot": "taken"})
    time.sleep(3600)


def tell(key: str, outcome: dict[str, Any]) -> None:
    with redis.Redis.from_url(REDIS_URL) as client:
        client.set(OUTCOME + key, json.dumps(outcome))
