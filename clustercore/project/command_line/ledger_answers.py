"""The answers of the process that `up` asks about the ledger (`ledger_process`). It ends with its standard input."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any

from clustercore.config.adapters.plugins import load
from clustercore.config.environment import environment
from clustercore.project.command_line.failures import explain
from clustercore.project.command_line.frameworks import set_up
from clustercore.terminal.domain.commands import Needs
from clustercore.terminal.domain.endings import ExitCode

_ANSWERS = "clustercore.project.command_line.hub_ledger"
QUESTIONS = ("migrate", "establish", "login_limits", "registered", "setup_path")
"""Functions of `hub_ledger`, which is imported once Django is set up."""


def main() -> None:
    """Answers each line of standard input with a line of standard output."""
    answers = _private_output()
    for line in sys.stdin:
        asked = json.loads(line)
        answers.write(json.dumps(_answered(asked["question"], asked["with"])) + "\n")
        answers.flush()


def _private_output() -> IO[str]:
    """Returns what the answers go to; whatever else is printed here goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def _answered(question: str, values: Mapping[str, Any]) -> dict[str, Any]:
    if question not in QUESTIONS:
        raise ValueError(f"{question!r} is no question")
    try:
        set_up(Needs.PAGES)
        answer: Callable[..., Any] = load(f"{_ANSWERS}:{question}")
        return {"answer": answer(**values)}
    except Exception as error:
        return {"failure": _told(error)}


def _told(error: Exception) -> Sequence[Any]:
    known = explain(error)
    if known is None or environment().debug:
        traceback.print_exception(error)
    unexpected = f"unexpected: {type(error).__name__}: {error}. This is a bug in clustercore."
    return known or (unexpected, int(ExitCode.FAILED))
