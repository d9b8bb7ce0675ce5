"""The project's own source, read as text and as syntax trees; nothing is imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("clustercore", "transcription", "dellm", "agents", "orchestration")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One file. `path` is relative to the root and written with slashes."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        return tuple(ast.walk(self.tree))

    @cached_property
    def parts(self) -> tuple[str, ...]:
        return tuple(Path(self.path).with_suffix("").parts)

    def functions(self) -> Iterator[Function]:
        return (node for node in self.nodes if isinstance(node, Function))

    def calls(self) -> Iterator[ast.Call]:
        return (node for node in self.nodes if isinstance(node, ast.Call))

    def at(self, node: ast.AST, message: str) -> str:
        return f"{self.path}:{getattr(node, 'lineno', 1)}: {message}"


def modules(root: Path) -> list[Module]:
    """Every hand-written module of the packages below `root`, and the scripts beside them; migrations are not."""
    files = [file for package in PACKAGES for file in sorted((root / package).rglob("*.py"))]
    files += [file for file in (root / "manage.py",) if file.exists()]
    return [
        Module(file.relative_to(root).as_posix(), file.read_text(encoding="utf-8"))
        for file in files
        if "migrations" not in file.parts
    ]


def called_name(call: ast.Call) -> str:
    """`send_task` for `app.send_task(…)`, `open` for `open(…)`, empty for anything less plain."""
    match call.func:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
        case _:
            return ""


def dotted_name(node: ast.AST) -> str:
    """`os.environ` for that expression; empty where it is not a plain dotted name."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=name):
            owner = dotted_name(value)
            return f"{owner}.{name}" if owner else ""
        case _:
            return ""
