"""Resumable uploads as the tus protocol 1.0 tells them: what headers say, and the life of an upload."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from enum import StrEnum

from clustercore.terminal.domain.names import without_controls

VERSION = "1.0.0"
EXTENSIONS = "creation,termination,expiration"
CONTENT_TYPE = "application/offset+octet-stream"
_LONGEST_METADATA = 8192


class UploadState(StrEnum):
    """`open`: bytes may still come; `whole`: all are here; `kept`: they are a blob of the store."""

    OPEN = "open"
    WHOLE = "whole"
    KEPT = "kept"


def metadata_of(header: str) -> Mapping[str, str]:
    """`Upload-Metadata`: names and texts in base64, separated by commas. Raises ValueError that says what is wrong."""
    if len(header) > _LONGEST_METADATA:
        raise ValueError(f"Upload-Metadata is longer than {_LONGEST_METADATA} characters")
    pairs = (pair.strip().partition(" ") for pair in header.split(",") if pair.strip())
    return {name: _decoded(name, text.strip()) for name, _, text in pairs}


def _decoded(name: str, text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        raise ValueError(f"Upload-Metadata: the value of {name[:40]!r} is not text in base64") from None


def plain_number(text: str) -> int | None:
    """A whole number of bytes as headers write it; None for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def printable(name: str) -> str:
    """A file name as one line of text: control characters become spaces, at most 255 characters."""
    return without_controls(name)[:255]
