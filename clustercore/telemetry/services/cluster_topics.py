"""What can be followed of machines: `nodes` is each of them, `cluster` all of them together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from clustercore.access.domain.identity import Identity
from clustercore.access.domain.roles import Permission
from clustercore.jobs.domain.figures import figures_of
from clustercore.jobs.selectors.occupation import minutes_of_the_last_hour
from clustercore.jobs.selectors.pulse import activity_now
from clustercore.jobs.selectors.queueing import queue_now
from clustercore.nodes.selectors import node_colours, node_standings
from clustercore.telemetry.domain.topics import Facts, Known, State, Topic
from clustercore.telemetry.services.fragments import cluster_parts, node_parts


def _may_see(identity: Identity, key: str) -> bool:
    return key == "" and identity.may(Permission.VIEW)


def _load_nodes(known: Known) -> Mapping[str, Facts]:
    return {key: {"nodes": node_standings(), "colours": node_colours()} for key in known}


def _node_state(_key: str, facts: Facts) -> State:
    return {"nodes": [asdict(node) for node in facts["nodes"]]}


def _load_cluster(known: Known) -> Mapping[str, Facts]:
    minutes = minutes_of_the_last_hour()
    return {key: {"figures": figures_of(node_standings(), minutes), "minutes": minutes} for key in known}


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
