from __future__ import annotations

import pytest

from clustercore.nodes.domain.queues import carries_units, queue_for, queue_for_node


def test_a_capability_and_a_node_have_queues_of_their_own() -> None:
    assert queue_for("stt") == "cap.stt"
    assert queue_for_node("Anna's laptop") == "node.Anna's laptop"


@pytest.mark.parametrize("name", ["", "STT", "a b", "stt.fast", "x" * 41, "9lives"])
def test_what_is_no_capability_names_no_queue(name: str) -> None:
    with pytest.raises(ValueError, match="cannot name a capability"):
        queue_for(name)


@pytest.mark.parametrize("name", ["", "line\nbreak", "x" * 121, "\x06\x16"])
def test_what_cannot_name_a_node_names_no_queue(name: str) -> None:
    with pytest.raises(ValueError, match="cannot name a node"):
        queue_for_node(name)


def test_celerys_own_queues_are_not_ours() -> None:
    assert carries_units("cap.stt")
    assert carries_units("node.pi")
    assert not carries_units("celery")
    assert not carries_units("abc.reply.celery.pidbox")
