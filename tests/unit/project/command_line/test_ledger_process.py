"""The process that `up` asks about the ledger, and what becomes of a question when it ends."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from clustercore.project.command_line import ledger_process
from clustercore.project.command_line.ledger_process import LedgerProcess
from clustercore.terminal.domain.endings import CommandError

ANSWERS = "import sys\nfor line in sys.stdin:\n    print('{\"answer\": 7}', flush=True)"
ENDS = "import sys\nsys.stdin.readline()\nsys.stdout.write('{\"answ')"
SLEEPS = "import time\ntime.sleep(60)"


def test_one_that_ends_in_the_middle_of_an_answer_is_started_again_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    was_here = tmp_path / "was here"
    program = f"import pathlib\nmark = pathlib.Path({str(was_here)!r})\nfirst = not mark.exists()\nmark.touch()\n"
    monkeypatch.setattr(ledger_process, "_ANSWER", f"{program}exec({ENDS!r} if first else {ANSWERS!r})")
    ledger = LedgerProcess()
    assert [ledger.ask("registered"), ledger.ask("registered")] == [7, 7]
    ledger.close()


def test_one_that_ends_each_time_is_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_process, "_ANSWER", ENDS)
    ledger = LedgerProcess()
    with pytest.raises(CommandError, match="ended"):
        ledger.ask("registered")
    ledger.close()


def test_one_that_is_interrupted_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_process, "_ANSWER", SLEEPS)
    monkeypatch.setattr(ledger_process, "_END_SECONDS", 60.0)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt), ledger_process.ledger_process():
        raise KeyboardInterrupt
    assert time.monotonic() - began < 30
