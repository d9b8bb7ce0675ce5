"""What the lease thread of a node does for this room: extends the leases of what its slots hold, and nothing else."""

from __future__ import annotations

from clustercore.config.environment import environment
from clustercore.jobs.adapters.attempts_in_flight import IN_FLIGHT
from clustercore.jobs.services.leases import extend_leases
from clustercore.nodes.adapters.elapsed import elapsed_seconds
from clustercore.nodes.domain.hooks import Agent


class HeldLeases:
    """Implements `LeaseExtender`, and says since when it has succeeded: until then this process sweeps nothing."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._extended = float("-inf")

    def extend(self, agent: Agent) -> bool:
        """As `LeaseExtender.extend`; what does not count any more is told to its slot."""
        now = elapsed_seconds()
        try:
            is_whole = _extend(agent)
        except Exception:
            self._since = None
            raise
        if self._since is None or now - self._extended > environment().lease_seconds:
            self._since = now
        self._extended = now
        return is_whole

    def extended_since(self, now: float) -> float | None:
        """Since when, by `elapsed_seconds`, none of this process's leases ran out for want of an extension.

        None while that is not so, or not known: the thread may stand still, or the machine was suspended.
        """
        return self._since if now - self._extended < environment().lease_seconds / 2 else None


def _extend(agent: Agent) -> bool:
    held = IN_FLIGHT.extendable(environment().silent_runner_seconds)
    still_mine = extend_leases(agent.instance, held, environment().lease_seconds)
    gone = held.keys() - still_mine.keys()
    IN_FLIGHT.forget(gone)
    for holding in IN_FLIGHT.all():
        if holding.key in gone:
            holding.lost_because = "cancelled, or taken by another node"
            holding.lost.set()
            agent.runners.kill(holding.tag, holding.lost_because)
    return all(still_mine.values())
