"""Captions as a player reads them: by FFmpeg's own parsers."""

from __future__ import annotations

import io

import av


def captions(text: str, reader: str) -> list[tuple[float, float, str]]:
    """When each caption begins and ends, in seconds, and what it says; `reader` is `srt` or `webvtt`."""
    with av.open(io.BytesIO(text.encode()), "r", format=reader) as opened:
        return [
            (float(one.pts * one.time_base), float((one.pts + one.duration) * one.time_base), bytes(one).decode())
            for one in opened.demux()
            if one.size and one.pts is not None and one.duration is not None and one.time_base is not None
        ]
