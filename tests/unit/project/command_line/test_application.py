"""What the command line says before anything runs."""

from __future__ import annotations

import pytest
import redis
from django.db import OperationalError
from pydantic import ValidationError
from typer.testing import CliRunner

from clustercore.config.environment import Environment
from clustercore.embedded.services import EmbeddedError
from clustercore.project.command_line.application import application
from clustercore.project.command_line.main import guarded
from clustercore.terminal.domain.endings import CommandError, ExitCode

_COMMANDS = """
    demo up transcribe jobs doctor job cancel answer pause resume retry rm down node nodes models version
    nodes.drain nodes.undrain models.list models.pull models.rm
"""
COMMANDS = _COMMANDS.split()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    result = CliRunner().invoke(application, [*command.split("."), "--help"])

    assert result.exit_code == ExitCode.DONE
    assert f"clustercore {command.replace('.', ' ')}".removeprefix("clustercore ") in result.output


def test_help_begins_with_what_a_person_needs_first() -> None:
    output = CliRunner().invoke(application, ["--help"]).output

    begin = output.index("Begin with these")
    end = output.index("Jobs ─")
    assert [word for word in ("demo", "up", "transcribe", "jobs", "doctor") if f"│ {word} " in output[begin:end]] == [
        "demo", "up", "transcribe", "jobs", "doctor",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "words",
    [
        ["bogus"],
        ["transcribe"],
        ["job"],
        ["job", "seven"],
        ["job", "0"],
        ["cancel"],
        ["up", "--slots", "0"],
        ["up", "--port", "99999"],
        ["transcribe", "x.wav", "--priority", "1000"],
        ["nodes", "drain"],
        ["models", "pull"],
    ],
)
def test_what_makes_no_sense_ends_with_2(words: list[str]) -> None:
    assert CliRunner().invoke(application, words).exit_code == ExitCode.USAGE


def failing(error: Exception) -> int:
    def command() -> int:
        raise error

    return guarded(command, debug=False)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CommandError("no", ExitCode.FAILED), 1),
        (CommandError("no", ExitCode.USAGE), 2),
        (UnicodeEncodeError("utf-8", "\udcff", 0, 1, "surrogates not allowed"), 2),
        (EmbeddedError("no"), 3),
        (OperationalError("connection refused"), 3),
        (PermissionError(13, "no", "/x"), 1),
    ],
)
def test_an_expected_failure_is_one_message_without_a_traceback(
    error: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert failing(error) == code
    said = capsys.readouterr().err
    assert said.startswith("Error: ")
    assert "Traceback" not in said


def test_a_refused_redis_is_told_as_such_however_celery_wraps_it(capsys: pytest.CaptureFixture[str]) -> None:
    wrapped = RuntimeError("Retry limit exceeded")
    wrapped.__cause__ = redis.ConnectionError("refused")

    assert failing(wrapped) == ExitCode.UNREACHABLE
    assert "REDIS_URL" in capsys.readouterr().err


def test_a_surprise_keeps_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert failing(ZeroDivisionError("surprise")) == ExitCode.FAILED
    assert "Traceback" in capsys.readouterr().err


def test_debug_shows_the_traceback_of_an_expected_failure(capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> int:
        raise CommandError("no")

    assert guarded(command, debug=True) == ExitCode.FAILED
    assert "Traceback" in capsys.readouterr().err


def test_a_setting_that_makes_no_sense_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValidationError) as refused:
        Environment(slots=0)

    assert failing(refused.value) == ExitCode.USAGE
    assert "CLUSTERCORE_SLOTS" in capsys.readouterr().err


def test_ctrl_c_ends_with_130() -> None:
    def command() -> int:
        raise KeyboardInterrupt

    assert guarded(command, debug=False) == ExitCode.INTERRUPTED
