"""What can be followed of machines: `nodes` is each of them, `cluster` all of them together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from clustercore.access.domain.identity import Identity
from clustercore.access.domain.roles import Permission
from clustercore.jobs.domain.chart import chart_of
from clustercore.jobs.domain.figures import figures_of
from clustercore.jobs.selectors.change_fingerprint import activity_now, pulse_of_nodes
from clustercore.jobs.selectors.node_load import minutes_of_the_last_hour
from clustercore.jobs.selectors.queueing import queue_now
from clustercore.live.domain.topics import Facts, Known, PagePart, State, Topic
from clustercore.live.services.fragments import fragment
from clustercore.nodes.selectors import node_colours, node_statuses

CHART_SECONDS = 2.0


def _may_see(identity: Identity, key: str) -> bool:
    return key == "" and identity.may(Permission.VIEW)


@dataclass(frozen=True, slots=True)
class _NodesFingerprint:
    """The nodes' pulse before they were read. One that has changed is no change of what is shown."""

    pulse: str | None = field(compare=False)


def _read_again(known: Known, read: Callable[[], Facts]) -> Mapping[str, Facts]:
    """One query while nodes give signs of life and nothing else; what is known then is still true."""
    now = _NodesFingerprint(pulse_of_nodes())
    return {
        key: facts
        if facts is not None and now.pulse is not None and facts["read"].pulse == now.pulse
        else {**read(), "read": now}
        for key, facts in known.items()
    }


def _load_nodes(known: Known) -> Mapping[str, Facts]:
    return _read_again(known, lambda: {"nodes": node_statuses(), "colours": node_colours()})


def _node_state(_key: str, facts: Facts) -> State:
    return {"nodes": [asdict(node) for node in facts["nodes"]]}


def _load_cluster(known: Known) -> Mapping[str, Facts]:
    return _read_again(known, _cluster_facts)


def _cluster_facts() -> Facts:
    minutes = minutes_of_the_last_hour()
    return {"figures": figures_of(node_statuses(), minutes), "minutes": minutes}


def _cluster_state(_key: str, facts: Facts) -> State:
    return {
        **asdict(facts["figures"]),
        "queue": asdict(queue_now()),
        "minutes": [asdict(one) for one in facts["minutes"]],
    }


def _node_parts(_key: str, facts: Facts) -> Sequence[PagePart]:
    """Every node: in the list, on its own page, and in the strip of the first page."""
    nodes, colours = facts["nodes"], facts["colours"]
    cards = [
        fragment(f"node-{node.id}-{name}", f"nodes/live/{name}.html", {"node": node, "colours": colours})
        for node in nodes
        for name in ("card", "standing")
    ]
    return [*cards, fragment("nodes-strip", "nodes/live/strip.html", {"nodes": nodes, "colours": colours})]


def _cluster_parts(_key: str, facts: Facts) -> Sequence[PagePart]:
    """The cluster in figures, and the last hour."""
    return [
        fragment("cluster-figures", "project/live/figures.html", {"figures": facts["figures"]}),
        fragment(
            "cluster-throughput",
            "project/live/throughput.html",
            {"chart": chart_of(facts["minutes"])},
            of=facts["minutes"],
            every=CHART_SECONDS,
        ),
    ]


NODES = Topic(
    name="nodes",
    allowed=_may_see,
    load=_load_nodes,
    state=_node_state,
    parts=_node_parts,
    activity=activity_now,
    every=1.0,
)
CLUSTER = Topic(
    name="cluster",
    allowed=_may_see,
    load=_load_cluster,
    state=_cluster_state,
    parts=_cluster_parts,
    activity=activity_now,
    every=2.0,
)
