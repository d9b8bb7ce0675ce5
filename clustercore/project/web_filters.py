"""Filters for every template, without `{% load %}`: how states and figures read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from django.template import Library
from django.utils.html import conditional_escape, escape, format_html
from django.utils.safestring import SafeString, mark_safe

from clustercore.jobs.domain import humanize
from clustercore.jobs.domain.progress import JobProgress
from clustercore.terminal.domain.humanize import factor_words, memory_words

register = Library()
register.filter("look", humanize.look_of)
register.filter("duration", humanize.duration_words)
register.filter("about", humanize.about)
register.filter("speed", humanize.speed_words)
register.filter("place", humanize.place_words)
register.filter("factor", factor_words)
register.filter("memory", memory_words)


@register.filter
def took(job: JobProgress) -> str:
    """How long a job waited, and was worked on."""
    return humanize.took_words(job.waited_seconds, job.worked_seconds, job.speed)


@register.filter
def as_json(value: object) -> str:
    """Returns a value as JSON that a person can read."""
    return json.dumps(value, indent=2, ensure_ascii=False)


@register.filter
def percent(fraction: float) -> int:
    """A fraction in whole hundredths; only what is complete reads 100."""
    return int(max(0.0, min(1.0, fraction)) * 100)


@register.filter
def node_colour(name: str, colours: dict[str, int] | None) -> str:
    """The class of a node's colour."""
    return f"node-{colours[name]}" if colours and name in colours else "node-none"


@register.filter
def thousandths(fraction: float) -> int:
    """A fraction as a whole number out of 1000, for a progress bar."""
    return int(max(0.0, min(1.0, fraction)) * 1000)


@register.filter
def tone(look: humanize.Look) -> str:
    """Which of the five tones a look has."""
    return look.tone


@register.filter
def unlocal(number: float) -> str:
    """A number as programs write it, whatever the language of the page."""
    return f"{number:g}"


@register.filter
def item(values: Mapping[Any, Any], key: Any) -> Any:
    """What a mapping has under a key; None where it has nothing."""
    return values.get(key)


@register.filter
def commands(text: str) -> SafeString:
    """Text in which whatever stands in backquotes is shown as something to type; everything is escaped."""
    parts = str(text).split("`")
    # An odd number of backquotes means that they are no quotes.
    if len(parts) % 2 == 0:
        return conditional_escape(text)
    shown = [format_html("<code>{}</code>", part) if odd % 2 else escape(part) for odd, part in enumerate(parts)]
    return mark_safe("".join(shown))


@register.filter
def word(state: str) -> str:
    """A state in words."""
    return humanize.look_of(state).word


@register.filter
def inverse(number: float) -> float | None:
    """One divided by it: seconds of work per second of sound become a speed."""
    return 1 / number if number else None


@register.filter
def in_values(value: str, entries: Iterable[Mapping[str, Any]]) -> bool:
    """Whether one of these entries has this `value`."""
    return any(entry["value"] == value for entry in entries)


@register.filter
def moment(at: datetime) -> SafeString:
    """A moment to the second: in UTC as it comes, in the reader's own zone once the page's script has seen it."""
    there = at.astimezone(UTC)
    shown = f"{there.day} {there:%b %H:%M:%S} UTC"
    # Nothing in it comes from outside, and a page may show hundreds.
    return mark_safe(f'<time datetime="{there.isoformat()}" data-precision="seconds">{shown}</time>')
