"""What a person should know about a recording that was not quite whole, or not quite clear what to hear in."""

from __future__ import annotations

from transcription.adapters.decoding import Health
from transcription.adapters.levelling import Loudness
from transcription.adapters.surveying import Source
from transcription.adapters.tracks import listed


def notes_on(source: Source, health: Health, seconds: float) -> list[str]:
    """Sentences, for a recording that came to so many seconds; none for one without any peculiarity."""
    return [*notes_on_tracks(source), *notes_on_gaps(health, seconds), *notes_on_sound(health)]


def notes_on_tracks(source: Source) -> list[str]:
    """Which audio tracks there are, where there are several."""
    if len(source.tracks) < 2:
        return []
    named = listed(source.tracks, source.silent)
    return [
        f"The recording has {len(source.tracks)} audio tracks: {named}. Track {source.track} was heard; "
        "another one is heard if you ask for it by its number (--track)."
    ]


def notes_on_gaps(health: Health, seconds: float) -> list[str]:
    """What is missing in it."""
    notes = []
    if health.broke_off:
        expected = f" of {health.promised_seconds:.0f} s" if health.promised_seconds else ""
        notes.append(f"The recording breaks off after {seconds:.0f} s{expected}; what is there was used.")
    if health.broken_packets:
        notes.append(f"{health.broken_packets} damaged parts could not be decoded and were left out.")
    if health.filled_seconds:
        notes.append(
            f"{health.filled_seconds:.1f} s missing in the recording were filled with silence to keep the times."
        )
    if health.unbelieved_seconds:
        notes.append(
            f"The recording's own clock jumps by {health.unbelieved_seconds:.0f} s, and nothing else in it bears that "
            "out: the jump was left out, so later times may be that much too early."
        )
    return notes


def notes_on_sound(health: Health) -> list[str]:
    """How it sounds."""
    loudness: Loudness = health.loudness
    notes = []
    if not loudness.has_sound:
        notes.append("The recording is silent: there is no sound in it that could be heard.")
    if health.inverted_seconds:
        notes.append(
            f"The channels cancel each other out for {health.inverted_seconds:.0f} s (one is the inverse of another); "
            "one of them was inverted there."
        )
    if loudness.raised_seconds:
        notes.append(
            f"The recording is very quiet: {loudness.raised_seconds:.0f} s were made louder, "
            f"by up to {loudness.most_decibels:.0f} dB."
        )
    if loudness.overdriven_seconds:
        notes.append(
            f"The recording is overdriven for {loudness.overdriven_seconds:.0f} s: words may be misheard there."
        )
    return notes
