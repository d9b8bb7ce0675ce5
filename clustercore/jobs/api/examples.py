"""What answers look like, for who reads the description."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiExample

_JOB = {
    "id": 7,
    "kind": "transcription",
    "title": "interview.m4a",
    "state": "running",
    "standing": "running",
    "stage": "transcribe",
    "priority": 0,
    "language": "en",
    "waiting": "",
    "asks": "",
    "place": None,
    "starts_in_seconds": None,
    "error": "",
    "owner": "otto",
    "shared": False,
    "created": "2026-11-21T12:00:00Z",
    "finished": None,
    "elapsed_seconds": 71.2,
    "waited_seconds": 10.0,
    "worked_seconds": 61.2,
    "speed": 18.0,
    "seconds_left": 91.8,
    "fraction": 0.4,
    "units": {"done": 4, "running": 2, "failed": 0, "total": 10, "all_queued": True},
}
_SHARE = {
    "node": "workstation",
    "served_by": "faster-whisper:large-v3",
    "rung": 5,
    "done": 4,
    "running": 2,
    "work_seconds": 55.0,
    "audio_seconds": 1100.0,
    "speed": 20.0,
}

_STAGES = [
    {"stage": "cut", "total": 1, "states": {"done": 1}},
    {"stage": "transcribe", "total": 10, "states": {"done": 4, "leased": 2, "queued": 4}},
    {"stage": "merge", "total": 1, "states": {"blocked": 1}},
]
_DETAIL = {"stages": _STAGES, "units_per_minute": None, "shares": [_SHARE], "facts": None, "result_url": None}

JOB = OpenApiExample("a job that is running", value={**_JOB, **_DETAIL}, response_only=True)
JOBS = OpenApiExample("one page", value={"results": [_JOB], "next_cursor": "Nw"}, response_only=True)
CHANGE = OpenApiExample("sooner, and for all to read", value={"priority": 10, "shared": True}, request_only=True)
QUESTION = OpenApiExample(
    "somebody must approve",
    value={
        "id": 3,
        "unit_id": 12,
        "stage": "send",
        "ordinal": 0,
        "text": "Send the letter to vera?",
        "options": ["approve", "refuse", "skip"],
        "bound_to": "2c26b46b68ffc68f",
        "until": "2026-11-28T12:00:00Z",
        "default": "fail",
        "created": "2026-11-21T12:00:00Z",
        "state": "open",
        "answer": "",
        "answered_by": "",
        "answered": None,
    },
    response_only=True,
)
ANSWER = OpenApiExample(
    "it is approved", value={"option": "approve", "bound_to": "2c26b46b68ffc68f"}, request_only=True
)
CAUSES = OpenApiExample(
    "two jobs, one cause",
    value={
        "results": [
            {
                "cause": "every able node has tried and failed",
                "jobs": 2,
                "newest": [9, 7],
                "last_failed": "2026-11-21T12:00:00Z",
            }
        ]
    },
    response_only=True,
)
