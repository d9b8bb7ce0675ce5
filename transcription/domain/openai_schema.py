"""The OpenAI-compatible addresses, as OpenAPI describes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transcription.domain.cues import MOST_LINES, NARROWEST, WIDEST
from transcription.domain.openai_request import FORMATS, GRANULARITIES

Operation = Mapping[str, Any]

_SECURITY: list[dict[str, list[str]]] = [{"bearer": []}, {"session": []}]
_ERROR = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
_REFUSALS = {
    "400": "A parameter, or the recording, cannot be used; `param` names it.",
    "403": "The role or the token's scopes do not allow it.",
    "404": "No live node has that model, or the job was removed.",
    "408": "The body came too slowly.",
    "409": "The job was cancelled, or the `Idempotency-Key` is another request's.",
    "413": "Larger than this hub takes.",
    "500": "The job failed, because nothing of the recording could be heard, say; the message says why.",
    "503": "No node can do it yet, and the job waits: the same request finds it again. Or too much is waiting already.",
    "507": "The hub's disk has no room for it.",
}
_TEXT = {"type": "string"}
_STRINGS = {"type": "array", "items": _TEXT}
_PARAMETERS: Mapping[str, Any] = {
    "file": {"type": "string", "format": "binary", "description": "The recording: audio or video."},
    "model": {"type": "string", "description": "`clustercore/auto`, `clustercore/accurate`, or one of /v1/models."},
    "prompt": {"type": "string", "description": "Words to expect."},
    "response_format": {"type": "string", "enum": list(FORMATS), "default": "json"},
    "max_line_width": {
        "type": "integer", "minimum": NARROWEST, "maximum": WIDEST,
        "description": "Columns of a caption's line, with srt and vtt. An addition to OpenAI's parameters.",
    },
    "max_line_count": {
        "type": "integer", "minimum": 1, "maximum": MOST_LINES,
        "description": "Lines of a caption, with srt and vtt. An addition to OpenAI's parameters.",
    },
    "temperature": {
        "type": "number", "minimum": 0, "maximum": 1, "description": "Taken and not used: decoding is deterministic.",
    },
}  # fmt: skip
_TRANSCRIBING: Mapping[str, Any] = {
    **_PARAMETERS,
    "language": {"type": "string", "description": "Code or name; left out: detected."},
    "timestamp_granularities[]": {
        "type": "array",
        "items": {"type": "string", "enum": list(GRANULARITIES)},
        "description": "With response_format=verbose_json.",
    },
    "include[]": {"type": "array", "items": {"type": "string", "enum": ["logprobs"]}, "description": "Of words."},
    "stream": {"type": "boolean", "description": "Server-sent events, with json, text or diarized_json."},
    "chunking_strategy": {"type": "string", "description": "Taken and not used: recordings are cut at pauses."},
    "languages[]": {**_STRINGS, "description": "One decides; of several, the recording does."},
    "keywords[]": {**_STRINGS, "description": "Words to expect."},
}
_HEARD: Mapping[str, Any] = {
    "text": _TEXT,
    "gaps": {
        "type": "array",
        "items": {"$ref": "#/components/schemas/Gap"},
        "description": "There only where something is missing. An addition to OpenAI's answers.",
    },
}
_MODEL = {
    "type": "object",
    "required": ["id", "object", "created", "owned_by"],
    "properties": {
        "id": _TEXT,
        "object": {"type": "string", "enum": ["model"]},
        "created": {"type": "integer"},
        "owned_by": _TEXT,
    },
}


def _hearing(name: str, summary: str, properties: Mapping[str, Any]) -> Mapping[str, Operation]:
    form = {"type": "object", "required": ["file", "model"], "properties": properties, "additionalProperties": False}
    told = {
        "application/json": {"schema": {"type": "object", "required": ["text"], "properties": _HEARD}},
        "text/plain": {"schema": _TEXT},
        "text/event-stream": {"schema": _TEXT},
    }
    operation = {
        "operationId": name,
        "tags": ["openai"],
        "summary": summary,
        "description": "Answers when the job is done, and goes on when the client hangs up. The same person's request "
        "for the same sound, heard in the same way, finds the job that is at work or was done in the last ten minutes; "
        "an `Idempotency-Key` of one's own asks for a new one. The same key with another file or other parameters "
        "is 409; a key whose job failed or was cancelled may be used again. Where a part of the recording could not be "
        "heard, the answer is the rest: `gaps` lists what is missing (in a stream, its last event does), and formats "
        "of plain text have a line or a caption in brackets.",
        "security": _SECURITY,
        "parameters": [
            {"in": "header", "name": "Idempotency-Key", "schema": {"type": "string", "minLength": 1, "maxLength": 200}}
        ],
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}}},
        "responses": {
            "200": {
                "description": "The text, in the format that was asked for.",
                "headers": {"X-Clustercore-Job": {"schema": _TEXT, "description": "The id of the job."}},
                "content": told,
            },
            **{status: {"description": text, "content": _ERROR} for status, text in _REFUSALS.items()},
        },
    }
    return {"post": operation}


def _reading(name: str, summary: str, schema: Mapping[str, Any], *parameters: Operation) -> Mapping[str, Operation]:
    operation: dict[str, Any] = {
        "operationId": name,
        "tags": ["openai"],
        "summary": summary,
        "security": _SECURITY,
        "parameters": list(parameters),
        "responses": {"200": {"description": "Found.", "content": {"application/json": {"schema": schema}}}},
    }
    return {"get": operation}


PATHS: Mapping[str, Mapping[str, Operation]] = {
    "/v1/audio/transcriptions": _hearing("openai_transcribe", "What is said, in its own language", _TRANSCRIBING),
    "/v1/audio/translations": _hearing(
        "openai_translate", "What is said, in English", {**_PARAMETERS, "language": _TRANSCRIBING["language"]}
    ),
    "/v1/models": _reading(
        "openai_models",
        "What may be named as a model",
        {
            "type": "object",
            "required": ["object", "data"],
            "properties": {"object": {"type": "string", "enum": ["list"]}, "data": {"type": "array", "items": _MODEL}},
        },
    ),
    "/v1/models/{model}": _reading(
        "openai_model", "One of them", _MODEL, {"in": "path", "name": "model", "required": True, "schema": _TEXT}
    ),
}
