"""A log that another process writes stays short."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from clustercore.embedded.adapters import logs
from clustercore.embedded.adapters.logs import rotate, tail

WRITER = "import sys\nfor line in sys.stdin: print(line, end='', flush=True)"


@pytest.fixture(autouse=True)
def short_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "LOG_BYTES", 10)


def test_who_writes_goes_on_in_the_shortened_log(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    with (
        log.open("ab") as output,
        subprocess.Popen([sys.executable, "-c", WRITER], stdin=subprocess.PIPE, stdout=output, text=True) as writer,
    ):
        assert writer.stdin is not None
        print("a line that is long enough", file=writer.stdin, flush=True)
        while log.stat().st_size < 20:
            assert writer.poll() is None
        rotate(log)
        writer.communicate("the next\n")
    assert log.read_text() == "the next\n"
    assert (tmp_path / "web.log.1").read_text() == "a line that is long enough\n"


def test_only_one_old_log_is_kept(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    for text in ("the first of them", "the second of them"):
        log.write_text(text)
        rotate(log)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "web.log": "",
        "web.log.1": "the second of them",
    }


def test_a_short_log_stays_as_it_is(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    log.write_text("short")
    rotate(log)
    rotate(tmp_path / "none.log")
    assert [path.name for path in tmp_path.iterdir()] == ["web.log"]


def test_a_log_that_cannot_be_copied_is_shortened_all_the_same(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    (tmp_path / "web.log.1").mkdir()
    log.write_text("a line that is long enough")
    rotate(log)
    assert log.read_text() == ""


def test_the_end_of_a_log_is_read_and_a_missing_one_is_empty(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    log.write_text("x" * 5000 + "\nthe last words\n")
    assert tail(log).endswith("x\nthe last words")
    assert len(tail(log)) < 5000
    assert tail(tmp_path / "none.log") == ""
