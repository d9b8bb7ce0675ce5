"""The audio tracks of a recording: which there are, what they say of themselves, and which is heard."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition

ASIDE = (
    Disposition.comment
    | Disposition.visual_impaired
    | Disposition.karaoke
    | Disposition.lyrics
    | Disposition.clean_effects
    | Disposition.descriptions
)
"""What marks a track that accompanies another one."""
ASIDE_TITLE = re.compile(r"comment|descri|karaoke|music only|isolated", re.IGNORECASE)
NAMELESS = frozenset({"soundhandler", "sound handler", "core media audio", "apple sound media handler", "mainconcept"})
"""What programs write where a track has no title."""
TITLE_CHARACTERS = 60
MOST_NAMED = 8
"""Of more tracks nobody wants to read all names."""


@dataclass(frozen=True, slots=True)
class Track:
    """One audio track; `number` counts from 1 among the audio tracks of its file."""

    number: int
    title: str = ""
    language: str = ""
    is_default: bool = False
    is_aside: bool = False

    def __str__(self) -> str:
        about = ", ".join(part for part in (self.language, self.title) if part)
        return f"{self.number} ({about})" if about else str(self.number)


def audio_streams(container: InputContainer) -> list[AudioStream]:
    """The audio streams that can be decoded, in the order of the file."""
    return [stream for stream in container.streams.audio if stream.codec_context is not None]


def tracks_of(container: InputContainer) -> list[Track]:
    """The audio tracks, in the order of the file."""
    return [track_of(number, stream) for number, stream in enumerate(audio_streams(container), 1)]


def track_of(number: int, stream: AudioStream) -> Track:
    """What a track says of itself."""
    title = str(stream.metadata.get("title") or stream.metadata.get("handler_name") or "")
    title = " ".join("".join(one if one.isprintable() else " " for one in title).split())[:TITLE_CHARACTERS]
    language = str(stream.metadata.get("language") or "")[:12]
    return Track(
        number=number,
        title="" if title.lower() in NAMELESS else title,
        language="" if language == "und" or not language.isprintable() else language,
        is_default=bool(stream.disposition & Disposition.default),
        is_aside=bool(stream.disposition & ASIDE) or bool(ASIDE_TITLE.search(title)),
    )


def listed(tracks: Sequence[Track], silent: Collection[int] = ()) -> str:
    """The first tracks by number and name, and how many more there are; `silent` are those without any sound."""
    named = [f"{track}{' without any sound' * (track.number in silent)}" for track in tracks[:MOST_NAMED]]
    more = len(tracks) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


def by_preference(tracks: list[Track]) -> list[Track]:
    """The tracks, first the one that a player would play: flagged as default, and no commentary."""
    return sorted(tracks, key=lambda track: (track.is_aside, not track.is_default, track.number))
