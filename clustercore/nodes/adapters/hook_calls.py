"""Calling the hooks of the rooms above, so that none of them keeps the others from their turn."""

from __future__ import annotations

import logging
import threading

from clustercore.embedded.domain.database_trouble import is_busy
from clustercore.nodes.adapters.hub_presence import DATABASE_ERRORS, HubPresence
from clustercore.nodes.adapters.repeated_failures import RepeatedFailures
from clustercore.nodes.domain.hooks import Agent, AgentHook, agent_hooks

logger = logging.getLogger(__name__)


class HookCalls:
    """The hooks of one agent; what is wrong with one is logged once."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._failures = RepeatedFailures(logger)

    def start(self, presence: HubPresence, ended: threading.Event, pause_seconds: float) -> None:
        """Every hook's start, each until the database lets it: before the first unit it must have been."""
        waiting = list(agent_hooks)
        while waiting and not ended.is_set():
            with presence.asked_by("upkeep"):
                while waiting:
                    self._call(waiting[0], "on_start")
                    waiting.pop(0)
            if waiting:
                ended.wait(pause_seconds)

    def run(self, moment: str, *, last_first: bool = False) -> None:
        """Every hook is called even if another one finds the database away; that is raised at the end."""
        lost: Exception | None = None
        for hook in reversed(tuple(agent_hooks)) if last_first else agent_hooks:
            try:
                self._call(hook, moment)
            except DATABASE_ERRORS as error:
                # That it is away says more than that it is busy.
                lost = error if lost is None or is_busy(lost) else lost
        if lost is not None:
            raise lost

    def _call(self, hook: AgentHook, moment: str) -> None:
        step = f"The hook {type(hook).__name__}.{moment}"
        try:
            getattr(hook, moment)(self._agent)
            self._failures.over(step)
        except DATABASE_ERRORS:
            raise
        except Exception as error:
            self._failures.tell(step, error)
