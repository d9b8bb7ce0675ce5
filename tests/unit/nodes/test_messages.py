from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clustercore.nodes.adapters.transport import fault_in_item
from clustercore.nodes.domain.messages import MAXIMUM_MESSAGE_BYTES


def message(**changes: Any) -> dict[str, Any]:
    sound: dict[str, Any] = {
        "body": base64.b64encode(b"[[1], {}, {}]").decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"task": "jobs.run", "id": "1"},
        "properties": {
            "delivery_tag": "t",
            "body_encoding": "base64",
            "delivery_info": {"exchange": "", "routing_key": "cap.stt"},
        },
    }
    return sound | changes


def fault(content: Any, queue: str = "cap.stt") -> str:
    return fault_in_item(json.dumps(content).encode(), queue)


def test_a_sound_message_is_admitted() -> None:
    assert fault(message()) == ""


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"content-type": "application/x-python-serialize"}, "only application/json is read"),
        ({"content-type": None}, "only application/json is read"),
        ({"headers": {"id": "1"}}, "'task' is missing"),
        ({"headers": {"task": "jobs.run", "id": 1}}, "'id' is missing"),
        ({"headers": {"task": "t", "id": "1", "compression": "zlib"}}, "compressed"),
        ({"headers": []}, "no headers"),
        ({"body": 7}, "no body"),
        ({"body": "***"}, "cannot be decoded"),
        ({"body": base64.b64encode(b"{}").decode()}, "not arguments"),
        ({"body": base64.b64encode(b"[{}, {}, {}]").decode()}, "not arguments"),
        ({"properties": None}, "no properties"),
        ({"properties": {}}, "no delivery tag"),
        ({"properties": {"delivery_tag": "t", "delivery_info": {"exchange": 1}}}, "where it was sent"),
    ],
)
def test_a_malformed_message_is_refused_with_its_reason(changes: dict[str, Any], reason: str) -> None:
    assert reason in fault(message(**changes))


def test_a_message_that_is_too_big_is_not_even_decoded() -> None:
    assert "bytes, at most" in fault_in_item(b"[" * (MAXIMUM_MESSAGE_BYTES + 1), "cap.stt")


def test_celerys_own_replies_need_not_be_tasks() -> None:
    assert fault(message(headers={}), "abc.reply.celery.pidbox") == ""


@given(st.binary(max_size=300))
def test_no_bytes_whatever_raise(item: bytes) -> None:
    assert fault_in_item(item, "cap.stt")


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(["body", "content-type", "headers", "properties"]), _JSON)
def test_no_part_whatever_raises(part: str, value: Any) -> None:
    assert isinstance(fault(message(**{part: value})), str)
