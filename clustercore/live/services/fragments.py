"""Elements of a page that are rendered by a template: the page includes the same file."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from django.template.loader import render_to_string

from clustercore.live.domain.topics import PagePart


def fragment(name: str, template: str, context: Mapping[str, Any], *, of: Any = None, every: float = 0.0) -> PagePart:
    """Returns the element of that id, which shows `of`, or its whole context."""
    shown = tuple(context.values()) if of is None else of
    return PagePart(id=name, of=shown, make=partial(render_to_string, template, dict(context)), every=every)
