"""Which recordings a browser plays as they are, by what was found in them and never by their names."""

from __future__ import annotations

_SAME_CODEC = {
    "mp3float": "mp3",
    "libopus": "opus",
    "libvorbis": "vorbis",
    "aac_fixed": "aac",
    "libfdk_aac": "aac",
}
"""FFmpeg's decoders by the codec that they decode, where the names differ."""

_PLAYED: dict[str, tuple[str, frozenset[str]]] = {
    "wav": ("audio/wav", frozenset({"pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_f32le"})),
    "mp3": ("audio/mpeg", frozenset({"mp3"})),
    "flac": ("audio/flac", frozenset({"flac"})),
    "ogg": ("audio/ogg", frozenset({"opus", "vorbis", "flac"})),
    "aac": ("audio/aac", frozenset({"aac"})),
    "mov": ("audio/mp4", frozenset({"aac", "mp3", "opus", "flac"})),
    "matroska": ("audio/webm", frozenset({"opus", "vorbis"})),
}
"""By FFmpeg's name of the container: the media type, and the codecs that the browsers of today play in it."""


def playable_type(container: str, codec: str) -> str:
    """The media type under which a browser plays such a recording; empty where it would not."""
    media_type, codecs = _PLAYED.get(container.partition(",")[0], ("", frozenset()))
    return media_type if _SAME_CODEC.get(codec, codec) in codecs else ""


def wave_header(samples: int, rate: int) -> bytes:
    """The 44 bytes before so many samples of 16 bits in one channel."""
    size = samples * 2
    return b"".join(
        (
            b"RIFF",
            (36 + size).to_bytes(4, "little"),
            b"WAVEfmt ",
            (16).to_bytes(4, "little"),
            (1).to_bytes(2, "little"),
            (1).to_bytes(2, "little"),
            rate.to_bytes(4, "little"),
            (rate * 2).to_bytes(4, "little"),
            (2).to_bytes(2, "little"),
            (16).to_bytes(2, "little"),
            b"data",
            size.to_bytes(4, "little"),
        )
    )
