"""A fork of the warm interpreter is a process as one that was started: its own words, environment, streams and end."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest

from tests.fork_server import fork_server

SHOW = "import json, os, sys; print(json.dumps([sys.argv[1:], dict(os.environ), os.getcwd(), sys.stdin.read()]))"
SLEEP = "import time; time.sleep(600)"


def test_it_has_its_own_words_environment_directory_and_input(tmp_path: Path) -> None:
    shown = fork_server().run(["-P", "-c", SHOW, "a", "b c"], {"ONLY": "this"}, tmp_path, timeout=60, typed="Grüße")

    assert json.loads(shown.stdout) == [["a", "b c"], {"ONLY": "this"}, str(tmp_path), "Grüße"]
    assert (shown.returncode, shown.stderr) == (0, "")


def test_nothing_of_ours_is_there_before_it_is_imported(tmp_path: Path) -> None:
    ask = (
        "import sys; print(sorted({name.partition('.')[0] for name in sys.modules if name.startswith('clustercore')}))"
    )

    assert fork_server().run(["-c", ask], {}, tmp_path, timeout=60).stdout == "[]\n"


@pytest.mark.parametrize(
    ("program", "code", "said"),
    [("import sys; sys.exit(7)", 7, ""), ("1 / 0", 1, "ZeroDivisionError"), ("import os; os.abort()", -6, "")],
)
def test_its_end_is_told(tmp_path: Path, program: str, code: int, said: str) -> None:
    ended = fork_server().run(["-c", program], {}, tmp_path, timeout=60)

    assert ended.returncode == code
    assert said in ended.stderr


def test_what_takes_too_long_is_ended(tmp_path: Path) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        fork_server().run(["-c", SLEEP], {}, tmp_path, timeout=0.1)


def test_several_run_beside_each_other_and_are_ended_one_by_one(tmp_path: Path) -> None:
    first, second = (fork_server().start_logged(["-c", SLEEP], {}, tmp_path, tmp_path / "log") for _ in range(2))

    first.terminate()

    assert first.wait(30) == -signal.SIGTERM
    assert second.poll() is None
    second.kill()
    assert second.wait(30) == -signal.SIGKILL


def test_a_module_is_run_as_the_interpreter_runs_it(tmp_path: Path) -> None:
    version = fork_server().run(["-m", "clustercore.project.command_line.main", "version"], {}, tmp_path, timeout=60)

    assert version.stdout.startswith("clustercore ")
