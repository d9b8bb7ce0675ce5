# ruff: noqa: RUF001
"""What a command writes where the encoding does not know every character."""

from __future__ import annotations

import io
import json
import sys

import pytest

from clustercore.jobs.commands.rendering import jobs_table
from clustercore.terminal.adapters.console import complain, output, say, write_json, write_json_line
from clustercore.terminal.adapters.encoding import write_anything

SAID = "✔ Gespräch – 3×… “日本” 👍 مرحبا e\u0301 \udce4"
ENCODINGS = ["ascii", "latin-1", "cp1252", "cp437", "utf-8", "utf-16"]


def streams_in(encoding: str, monkeypatch: pytest.MonkeyPatch) -> tuple[io.TextIOWrapper, io.TextIOWrapper]:
    """Standard output and error in an encoding that is not that of the text."""
    output, errors = (io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True) for _ in range(2))
    # Set in the test: pytest puts its own streams there when the test begins.
    monkeypatch.setattr(sys, "stdout", output)
    monkeypatch.setattr(sys, "stderr", errors)
    write_anything()
    return output, errors


def written(stream: io.TextIOWrapper) -> str:
    stream.flush()
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue().decode(stream.encoding)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_text_can_be_written(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = streams_in(encoding, monkeypatch)
    say(SAID)
    complain(SAID)
    output().print(jobs_table([]))
    assert "Gespr" in written(out)
    assert "No jobs" in written(out)
    assert "Error: " in written(err)


def test_what_the_encoding_lacks_is_written_in_plain_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    out, _ = streams_in("ascii", monkeypatch)
    say(SAID)
    assert written(out).strip() == '+ Gesprach - 3x... "??" ? ????? e ?'


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_json_stays_json_and_loses_nothing(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    out, _ = streams_in(encoding, monkeypatch)
    value = {"text": SAID[:-1]}
    write_json(value)
    write_json_line(value)
    *first, second = written(out).strip().splitlines()
    assert json.loads("\n".join(first)) == json.loads(second) == value


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_json_has_no_characters_that_a_terminal_obeys(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    out, _ = streams_in(encoding, monkeypatch)
    value = {"title\x9b": "a\x1b[31m\x7f\x9b31m\x85\x9d\ud800"}
    write_json_line(value)
    assert written(out).strip().isprintable()
    assert json.loads(written(out)) == value
