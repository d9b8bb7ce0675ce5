"""What a well-formed message looks like, so that a malformed one is put aside instead of ending a worker."""

from __future__ import annotations

from typing import Any

MAXIMUM_MESSAGE_BYTES = 1024 * 1024
HEAD_BYTES = 500
REJECTED_KEY = "messages.rejected"
REJECTED_TOTAL_KEY = "messages.rejected.total"
REJECTED_KEPT = 1000
CONTENT_TYPE = "application/json"


def fault_in_envelope(envelope: Any) -> str:
    """Why the decoded `envelope` cannot be handed to a consumer; empty if it can."""
    if not isinstance(envelope, dict):
        return "the message is not an object"
    properties = envelope.get("properties")
    if not isinstance(properties, dict):
        return "the message has no properties"
    if not isinstance(properties.get("delivery_tag"), str):
        return "the message has no delivery tag"
    delivery = properties.get("delivery_info")
    if not isinstance(delivery, dict) or not all(isinstance(delivery.get(k), str) for k in ("exchange", "routing_key")):
        return "the message does not say where it was sent"
    if properties.get("body_encoding") not in (None, "base64"):
        return "the body's encoding is unknown"
    return fault_in_content(envelope)


def fault_in_content(envelope: dict[str, Any]) -> str:
    """Why the headers or the content type of an envelope are not acceptable; empty if they are."""
    headers = envelope.get("headers")
    if not isinstance(headers, dict):
        return "the message has no headers"
    if envelope.get("content-type") != CONTENT_TYPE:
        return f"the content type is {str(envelope.get('content-type'))[:60]!r}, only {CONTENT_TYPE} is read"
    if headers.get("compression"):
        return "the body is compressed"
    if not isinstance(envelope.get("body"), str):
        return "the message has no body"
    return ""


def fault_in_task(headers: dict[str, Any], body: Any) -> str:
    """Why headers and decoded body are not those of a task; empty if they are."""
    for name in ("task", "id"):
        if not isinstance(headers.get(name), str):
            return f"the header {name!r} is missing"
    if not isinstance(body, list) or len(body) != 3:
        return "the body is not arguments, keywords and options"
    arguments, keywords, options = body
    if not isinstance(arguments, list) or not isinstance(keywords, dict) or not isinstance(options, dict | None):
        return "the body is not arguments, keywords and options"
    return ""
