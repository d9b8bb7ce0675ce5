"""What the doctor is told of recordings: whether this machine can decode them."""

from __future__ import annotations

from collections.abc import Iterator

from clustercore.config.adapters.plugins import load_module
from clustercore.terminal.domain.findings import BROKEN, OK, Finding


def media_findings() -> Iterator[Finding]:
    """Tells which libraries decode."""
    try:
        pyav = load_module("av")
    except ImportError as error:
        yield Finding("ffmpeg", BROKEN, f"PyAV cannot be loaded ({error}); type: pip install --force-reinstall av")
        return
    versions = {name: ".".join(str(part) for part in version) for name, version in pyav.library_versions.items()}
    yield Finding("ffmpeg", OK, f"libavcodec {versions.get('libavcodec')} in PyAV {pyav.__version__}")
