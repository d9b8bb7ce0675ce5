"""What is to be made of speech: its own words, or English ones."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any


class Task(StrEnum):
    """As Whisper and the OpenAI API name it."""

    TRANSCRIBE = "transcribe"
    TRANSLATE = "translate"


_CAPABILITIES: Mapping[str, str] = {Task.TRANSCRIBE: "stt", Task.TRANSLATE: "translate"}


def task_of(parameters: Mapping[str, Any]) -> str:
    """The task of a job by its parameters; jobs from before there were two transcribe."""
    return str(parameters.get("task") or Task.TRANSCRIBE)


def capability_for(parameters: Mapping[str, Any]) -> str:
    """What a node must be able to do for the pieces of such a job."""
    return _CAPABILITIES[task_of(parameters)]
