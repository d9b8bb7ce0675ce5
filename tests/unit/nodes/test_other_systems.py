"""A worker must start where there is no fork and none of Unix's own modules."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]

# What only Unix has is taken away from our own modules; the libraries have branches of their own for Windows, and
# the embedded servers, which a Windows node has no use for, ask which system they are on.
WITHOUT_UNIX = """
import builtins, os, sys, threading
from pathlib import Path

UNIX = {"fcntl", "pwd", "grp", "resource", "termios", "pty"}
plain_import = builtins.__import__
met = set()

def guarded(name, globals=None, locals=None, fromlist=(), level=0):
    importer = (globals or {}).get("__name__", "")
    ours = importer.startswith(("clustercore", "transcription")) and not importer.startswith("clustercore.embedded")
    if ours and name in UNIX:
        met.add((importer, name))
        raise ImportError(f"no {name} here")
    return plain_import(name, globals, locals, fromlist, level)

def no_fork(*_):
    raise AssertionError("os.fork was called")

builtins.__import__ = guarded
os.fork = no_fork
vars(os).pop("sched_getaffinity", None)
"""

IMPORTS = """
import django
django.setup()
import clustercore.project.celery
import clustercore.nodes.adapters.bootstep
import clustercore.nodes.adapters.transport, clustercore.nodes.adapters.tolerant_consumer
from clustercore.nodes.adapters.hardware import read_hardware
assert read_hardware().cores >= 1
"""

HOST_CALL = """
from clustercore.nodes.adapters.runners import RunnerPool
from clustercore.nodes.adapters.spool import DirectorySpool
directory = Path(sys.argv[1])
pool = RunnerPool({"echo": "tests.fakes.nodes.engines:Echo"}, directory, slots=1, threads=1, silent_seconds=20)
answer = pool.call("echo", "plain", {"n": 1}, tag="a", on_report=lambda *_: None)
pool.close()
spool = DirectorySpool(directory / "spool")
spool.put("a", {"n": 1})
print(answer["echo"], spool.items())
"""


def run(script: str, directory: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", script, str(directory)]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False)


def test_a_worker_imports_and_an_engine_host_answers_without_unix(tmp_path: Path) -> None:
    settings = 'import os\nos.environ["DJANGO_SETTINGS_MODULE"] = "clustercore.project.settings"\n'
    done = run(settings + WITHOUT_UNIX + IMPORTS + HOST_CALL, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "{'n': 1} [('a', {'n': 1})]"


def test_the_child_side_of_an_engine_host_imports_without_unix(tmp_path: Path) -> None:
    done = run(WITHOUT_UNIX + "import clustercore.nodes.adapters.runner\nprint(sorted(met))", tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[('clustercore.nodes.adapters.runner', 'resource')]"


def test_the_child_side_of_an_engine_host_needs_no_django(tmp_path: Path) -> None:
    modules = "[m for m in ('django', 'celery') if m in sys.modules]"
    script = f"import clustercore.nodes.adapters.runner, sys\nprint({modules})"
    done = run(script, tmp_path)
    assert done.stdout.strip() == "[]", done.stderr
