"""What can be followed of machines: `nodes` is each of them, `cluster` all of them together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field

from clustercore.access.domain.identity import Identity
from clustercore.access.domain.roles import Permission
from clustercore.jobs.domain.figures import figures_of
from clustercore.jobs.selectors.occupation import minutes_of_the_last_hour
from clustercore.jobs.selectors.pulse import activity_now, pulse_of_nodes
from clustercore.jobs.selectors.queueing import queue_now
from clustercore.nodes.selectors import node_colours, node_standings
from clustercore.telemetry.domain.topics import Facts, Known, State, Topic
from clustercore.telemetry.services.fragments import cluster_parts, node_parts


def _may_see(identity: Identity, key: str) -> bool:
    return key == "" and identity.may(Permission.VIEW)


@dataclass(frozen=True, slots=True)
class _Read:
    """The nodes' pulse before they were read. One that has changed is no change of what is shown."""

    pulse: str | None = field(compare=False)


def _read_again(known: Known, read: Callable[[], Facts]) -> Mapping[str, Facts]:
    """One query while nodes give signs of life and nothing else; what is known then is still true."""
    now = _Read(pulse_of_nodes())
    return {
        key: facts
        if facts is not None and now.pulse is not None and facts["read"].pulse == now.pulse
        else {**read(), "read": now}
        for key, facts in known.items()
    }


def _load_nodes(known: Known) -> Mapping[str, Facts]:
    return _read_again(known, lambda: {"nodes": node_standings(), "colours": node_colours()})


def _node_state(_key: str, facts: Facts) -> State:
    return {"nodes": [asdict(node) for node in facts["nodes"]]}


def _load_cluster(known: Known) -> Mapping[str, Facts]:
    return _read_again(known, _cluster_facts)


def _cluster_facts() -> Facts:
    minutes = minutes_of_the_last_hour()
    return {"figures": figures_of(node_standings(), minutes), "minutes": minutes}


def _cluster_state(_key: str, facts: Facts) -> State:
    return {
        **asdict(facts["figures"]),
        "queue": asdict(queue_now()),
        "minutes": [asdict(one) for one in facts["minutes"]],
    }


NODES = Topic(
    name="nodes",
    allowed=_may_see,
    load=_load_nodes,
    state=_node_state,
    parts=node_parts,
    activity=activity_now,
    every=1.0,
)
CLUSTER = Topic(
    name="cluster",
    allowed=_may_see,
    load=_load_cluster,
    state=_cluster_state,
    parts=cluster_parts,
    activity=activity_now,
    every=2.0,
)
