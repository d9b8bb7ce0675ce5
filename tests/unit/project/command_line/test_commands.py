"""The tree of commands: named, listed without being imported, and the same as what is there."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clustercore.config.interpreter import child_variables
from clustercore.project.command_line.application import loaded
from clustercore.project.command_line.commands import commands
from clustercore.terminal.domain.commands import Command

FRAMEWORKS = {"django", "celery", "kombu"}
PAGES = {"rest_framework", "unfold", "drf_spectacular", "channels", "uvicorn", "django.contrib.admin"}
SOUND = {"numpy", "av"}
TERMINALS = {"flower", "tornado", "prompt_toolkit", "celery.bin"}
SHOW = """
import json, sys
from clustercore.project.command_line.main import main
try:
    main()
finally:
    print(json.dumps(sorted(sys.modules)))
"""


def imported_by(directory: Path, *words: str) -> set[str]:
    """What a Python has imported by the end of a command, in a directory where no cluster runs."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", SHOW, *words],
        env=child_variables({"CLUSTERCORE_DATA_DIR": str(directory), "DJANGO_SETTINGS_MODULE": None}),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("entry", commands(), ids=lambda entry: entry.name)
def test_a_command_is_listed_with_the_first_line_of_its_own_help(entry: Command) -> None:
    help_of_command = loaded(entry).help
    assert help_of_command.strip().partition("\n\n")[0].replace("\n", " ") == entry.summary


def every_command() -> Iterator[tuple[str, Any]]:
    """Each command, those of groups too, by what is typed for it."""
    for entry in commands():
        command = loaded(entry)
        yield entry.name, command
        for name, member in getattr(command, "commands", {}).items():
            yield f"{entry.name} {name}", member


BY_NAME = dict(every_command())


def examples_in(help_of_command: str) -> list[list[str]]:
    """The words of each example, without its remark and what the shell takes for itself."""
    lines = [line.strip() for line in help_of_command.splitlines() if line.startswith("  clustercore ")]
    typed = [re.split(r" {2,}| [<>]", line)[0] for line in lines]
    return [shlex.split(line)[1:] for line in typed]


def parse(command: Any, words: list[str]) -> None:
    """As the command does before it begins."""
    with command.make_context(words[0], words[1:]) as context:
        if hasattr(command, "commands"):
            rest = [*context._protected_args, *context.args]
            if rest:
                parse(command.commands[rest[0]], rest)


@pytest.mark.parametrize("typed", BY_NAME)
def test_every_command_shows_an_example_that_can_be_typed(typed: str) -> None:
    found = examples_in(BY_NAME[typed].help)
    assert [words for words in found if words[: len(typed.split())] == typed.split()]
    for words in found:
        parse(BY_NAME[words[0]], words)


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["version"], []])
def test_help_and_version_read_no_settings_and_load_no_framework(tmp_path: Path, words: list[str]) -> None:
    assert not imported_by(tmp_path, *words) & {
        *FRAMEWORKS, *PAGES, *SOUND, *TERMINALS, "pydantic_settings", "psycopg", "httpx", "redis"
    }  # fmt: skip


@pytest.mark.parametrize("words", [["up", "--help"], ["down"]])
def test_what_starts_and_stops_a_hub_needs_neither_django_nor_celery(tmp_path: Path, words: list[str]) -> None:
    assert not imported_by(tmp_path, *words) & {*FRAMEWORKS, *PAGES, *SOUND, *TERMINALS, "httpx", "redis"}


@pytest.mark.parametrize("words", [["jobs"], ["job", "7"]])
def test_looking_at_jobs_needs_the_tables_and_no_more(tmp_path: Path, words: list[str]) -> None:
    found = imported_by(tmp_path, *words)
    assert "django" in found
    assert not found & {"celery", "kombu", *PAGES, *SOUND, *TERMINALS, "httpx", "redis"}


@pytest.mark.parametrize("words", [["cancel", "7"], ["transcribe", "none.wav"], ["node", "--help"]])
def test_giving_and_doing_work_needs_no_pages_and_decodes_nothing(tmp_path: Path, words: list[str]) -> None:
    found = imported_by(tmp_path, *words)
    assert "celery" in found
    assert not found & {*PAGES, *SOUND, *TERMINALS}


def test_a_worker_loads_neither_pages_nor_celerys_command_line_nor_what_decodes(tmp_path: Path) -> None:
    ask = (
        "import json, sys; from clustercore.project.command_line import worker; worker.app.loader.init_worker(); "
        "import celery.apps.worker; print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", ask],
        env=child_variables({"CLUSTERCORE_DATA_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": None}),
        stdout=subprocess.PIPE,
        timeout=60,
        check=True,
    )
    found = set(json.loads(done.stdout.splitlines()[-1]))
    assert {"clustercore.jobs.services.work", "transcription.workflows"} <= found
    assert not found & {*PAGES, *SOUND, *TERMINALS}


def test_the_web_process_loads_no_engine_no_flower_and_none_of_celerys_command_line(tmp_path: Path) -> None:
    ask = (
        "import json, sys; import clustercore.project.asgi, clustercore.project.urls; "
        "print(json.dumps(sorted(sys.modules)))"
    )
    (tmp_path / "secrets").mkdir()
    done = subprocess.run(
        [sys.executable, "-P", "-c", ask],
        env=child_variables({"CLUSTERCORE_DATA_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": None}),
        stdout=subprocess.PIPE,
        timeout=60,
        check=True,
    )
    found = set(json.loads(done.stdout.splitlines()[-1]))
    assert "rest_framework" in found
    assert not found & {*SOUND, *TERMINALS}


def test_what_a_command_makes_is_its_accounts_alone(tmp_path: Path) -> None:
    ask = SHOW.replace("json.dumps(sorted(sys.modules))", "__import__('os').umask(0)")
    done = subprocess.run(
        [sys.executable, "-P", "-c", ask, "version"], env={**os.environ}, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == str(0o077)
