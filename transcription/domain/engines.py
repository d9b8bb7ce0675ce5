"""The engines that transcription brings, and the order in which they are preferred."""

from __future__ import annotations

ENGINES = (
    "transcription.adapters.media:MediaCutter",
    "transcription.adapters.engines.faster_whisper:FasterWhisper",
    "transcription.adapters.engines.vosk:Vosk",
    "transcription.adapters.engines.pocketsphinx:PocketSphinx",
)
ORDER = (
    "faster-whisper:*large*",
    "faster-whisper:*medium*",
    "faster-whisper:*small*",
    "faster-whisper:*",
    "vosk:*",
    "pocketsphinx:*",
)
"""Best first; the same models translate where they can."""
