"""Every address of the web process with an example of each, and who is asked to be let in there."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
ROLES = ("anonymous", "viewer", "operator", "administrator", "node")
Row = tuple[str, str]
"""A method and a pattern."""
Statuses = tuple[str, ...]
"""What each of `ROLES` gets there."""

_PARAMETER = re.compile(r"<(?:(\w+):)?(\w+)>")
_NAMED_GROUP = re.compile(r"\(\?P<(\w+)>.*?\)(?=/|\$|$)")
_ADMIN = re.compile(r"^/admin/(?!r/)(\w+)/(\w+)/(.*)$")
EVERY_MODEL = "/admin/*/*/"


@dataclass(frozen=True, slots=True)
class Route:
    """A pattern as the resolver has it, and the parameters it takes."""

    pattern: str
    parameters: tuple[str, ...]

    def address(self, examples: Mapping[str, Any]) -> str:
        """The pattern with an example for each parameter. Raises KeyError that names a parameter without one."""
        filled = _NAMED_GROUP.sub(lambda found: str(examples[found[1]]), self.pattern)
        filled = _PARAMETER.sub(lambda found: str(examples[found[2]]), filled)
        return filled.replace("^", "").replace("$", "")


def routes() -> list[Route]:
    """All that Django's resolver knows."""
    return sorted(set(_walk(get_resolver(), "/")), key=lambda route: route.pattern)


def _walk(resolver: URLResolver, before: str) -> Iterator[Route]:
    for entry in resolver.url_patterns:
        pattern = before + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from _walk(entry, pattern)
        elif isinstance(entry, URLPattern):
            names = [found[2] for found in _PARAMETER.finditer(_NAMED_GROUP.sub("", pattern))]
            yield Route(pattern, (*names, *_NAMED_GROUP.findall(pattern)))


def summarised(matrix: Mapping[Row, Statuses]) -> dict[Row, Statuses]:
    """The admin's many pages as one line for each kind of page; a model that differs keeps lines of its own."""
    kept: dict[Row, Statuses] = {}
    together: dict[Row, dict[str, Statuses]] = {}
    for (method, pattern), statuses in matrix.items():
        found = _ADMIN.match(pattern)
        if found is None:
            kept[method, pattern] = statuses
        else:
            together.setdefault((method, EVERY_MODEL + found[3]), {})[pattern] = statuses
    for (method, template), by_pattern in together.items():
        [(usual, _)] = Counter(by_pattern.values()).most_common(1)
        kept[method, template] = usual
        kept |= {(method, pattern): each for pattern, each in by_pattern.items() if each != usual}
    return kept


def written(matrix: Mapping[Row, Statuses], heading: Iterable[str]) -> str:
    """The matrix as a table, one line for each pattern and method."""
    order = (*METHODS, "WS", "PORT")
    rows = sorted(matrix, key=lambda row: (row[1], order.index(row[0].split(":")[0]), row[0]))
    lines = [line(row, matrix[row]) for row in rows]
    columns = f"{'method':<10} {'pattern':<78} " + " ".join(f"{role:<13}" for role in ROLES)
    return "\n".join([*(f"# {text}".rstrip() for text in heading), f"# {columns.rstrip()}", *lines]) + "\n"


def line(row: Row, statuses: Statuses) -> str:
    return f"{row[0]:<12} {row[1]:<78} {' '.join(f'{status:<13}' for status in statuses)}".rstrip()


def read(text: str) -> dict[Row, Statuses]:
    """What `written` wrote."""
    rows = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    return {(row[0], row[1]): tuple(row[2:]) for row in rows}
