"""The command line as a person uses it: real processes, the bundled recording, the engine that the wheel brings."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from socket import gethostname
from typing import Any

import httpx
import psutil
import pytest
from celery import Celery

import transcription
from clustercore.access.adapters.key_file import KeyFile, new_key
from clustercore.embedded.domain.endpoints import celery_url
from clustercore.embedded.selectors import resolve_endpoints
from clustercore.embedded.services import status, stop
from clustercore.project.command_line.processes import keyless_variables
from clustercore.project.flower.process import credentials, socket_path, wanted_path
from tests.fork_server import fork_server
from tests.integration.project.searching import leaks, open_to_others, secrets_of

ROOT = Path(transcription.__file__).resolve().parents[1]
CLIP = ROOT / "transcription" / "samples" / "clip.flac"
COMMAND = ("-m", "clustercore.project.command_line.main")
COMMAND_SECONDS = 120.0
Done = subprocess.CompletedProcess[str]
PRIVATE = ("DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a hub needs Linux or macOS")


@dataclass(frozen=True)
class Terminal:
    """A person's terminal, with a data directory of its own."""

    data_dir: Path
    home: Path

    def type(self, *words: str, typed: str = "", **variables: str) -> Done:
        """Runs a command; what is `typed` comes in on its standard input."""
        return self.python(*COMMAND, *words, typed=typed, **variables)

    def celery(self, *words: str) -> str:
        """What `celery -A clustercore …` prints."""
        done = self.python("-m", "celery", "-A", "clustercore", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def python(self, *words: str, typed: str = "", **variables: str) -> Done:
        """Runs what a Python is told, in a fork of a warm one."""
        environment = self.environment(variables)
        return fork_server().run(words, environment, self.home, timeout=COMMAND_SECONDS, typed=typed)

    def type_cold(self, *words: str, program: Sequence[str] = (sys.executable, *COMMAND)) -> Done:
        """Runs a command as a person's shell does: a new process of the real program."""
        return subprocess.run(
            [*program, *words],
            env=self.environment({}),
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )

    def environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if name not in PRIVATE}
        own = {name: value for name, value in own.items() if not name.startswith("CLUSTERCORE_")}
        own |= {"PYTHONPATH": str(ROOT), "CLUSTERCORE_GRACE_SECONDS": "3", "CLUSTERCORE_HEARTBEAT_SECONDS": "1"}
        return {**own, "CLUSTERCORE_DATA_DIR": str(self.data_dir), **variables}

    def read(self, *words: str) -> Any:
        done = self.type(*words)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def processes(self) -> list[psutil.Process]:
        """Everything that runs for this data directory, whoever its parent is."""
        return [process for process in psutil.process_iter() if self._belongs(process)]

    def _belongs(self, process: psutil.Process) -> bool:
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            said = process.environ().get("CLUSTERCORE_DATA_DIR") == str(self.data_dir)
            return said or str(self.data_dir) in " ".join(process.cmdline())
        except psutil.Error:
            return False


def a_terminal(home: Path) -> Terminal:
    # Not below pytest's own directory: root's servers run as another account and must be able to pass.
    parent = Path(tempfile.mkdtemp(prefix="clustercore-command-line-"))
    parent.chmod(0o711)
    return Terminal(parent / "data", home)


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    made = a_terminal(tmp_path_factory.mktemp("home"))
    try:
        yield made
    finally:
        made.type("down")
        stop(made.data_dir)
        shutil.rmtree(made.data_dir.parent, ignore_errors=True)


@pytest.fixture(scope="module")
def cluster(terminal: Terminal) -> Terminal:
    """The cluster, up in the background with one node."""
    started = terminal.type_cold("up", "-d", "--slots", "1", "--name", "tester")
    assert started.returncode == 0, started.stderr
    assert "is up" in started.stdout
    return terminal


@pytest.fixture
def clip(cluster: Terminal, tmp_path: Path) -> Path:
    path = tmp_path / "my [bold]clip\nhere.flac"
    shutil.copyfile(CLIP, path)
    return path


def transcribed(cluster: Terminal, path: Path, *words: str) -> dict[str, Any]:
    done = cluster.type("transcribe", str(path), "-l", "en", "--json", *words)
    assert done.returncode == 0, done.stderr
    [line] = done.stdout.splitlines()
    document: dict[str, Any] = json.loads(line)
    return document


def test_before_anything_runs_the_answer_is_3_and_what_to_type(tmp_path: Path) -> None:
    fresh = a_terminal(tmp_path)

    asked = fresh.type_cold("jobs")

    assert asked.returncode == 3
    assert "clustercore up -d" in asked.stderr
    assert "Traceback" not in asked.stderr
    assert fresh.processes() == []
    shutil.rmtree(fresh.data_dir.parent)


def test_the_doctor_stops_the_servers_that_it_started_before_it_ends(tmp_path: Path) -> None:
    fresh = a_terminal(tmp_path)

    asked = fresh.type("doctor", "--json")

    assert fresh.processes() == []
    assert {"postgresql", "redis"} <= {finding["about"] for finding in json.loads(asked.stdout)}
    shutil.rmtree(fresh.data_dir.parent)


def test_the_program_that_the_wheel_installs_says_what_a_warm_interpreter_says(cluster: Terminal) -> None:
    program = Path(sys.executable).with_name("clustercore")
    if not program.exists():
        pytest.skip("clustercore is not installed beside this Python")

    for words in (("users", "list", "--json"), ("job", "999"), ("jobs", "--state", "no-such-state")):
        cold, warm = cluster.type_cold(*words, program=[str(program)]), cluster.type(*words)
        assert (cold.returncode, cold.stdout, cold.stderr) == (warm.returncode, warm.stdout, warm.stderr)


def test_a_second_up_says_that_it_is_up_already(cluster: Terminal) -> None:
    again = cluster.type("up")

    assert again.returncode == 0
    assert "is up already" in again.stdout
    elsewhere = cluster.type("up", "--port", "1")
    assert (elsewhere.returncode, "--port was not applied" in elsewhere.stderr) == (1, True)


def test_a_file_becomes_text_and_captions_beside_it(cluster: Terminal, clip: Path) -> None:
    clip.with_suffix(".srt").write_text("mine")

    document = transcribed(cluster, clip, "-f", "txt", "-f", "srt")

    assert document["state"] == "done"
    assert "good morning" in document["text"]
    assert document["served_by"][0]["node"] == "tester"
    assert clip.with_suffix(".txt").read_text().startswith("good morning")
    assert clip.with_suffix(".srt").read_text() == "mine"
    assert "-->" in clip.with_suffix(".2.srt").read_text()


def test_a_job_can_be_listed_looked_at_found_again_and_removed(cluster: Terminal, clip: Path) -> None:
    first = transcribed(cluster, clip, "--idempotent")
    again = transcribed(cluster, clip, "--idempotent")
    number = str(first["job"])

    assert again["job"] == first["job"]
    assert first["job"] in [job["id"] for job in cluster.read("jobs", "--json", "--state", "done")]
    details = cluster.read("job", number, "--json")
    assert [unit["stage"] for unit in details["unit_page"]["results"]] == ["cut", "transcribe", "merge"]
    assert details["events"][0]["name"] == "submitted"
    assert (details["units"]["total"], details["shares"][0]["node"], details["unit_page"]["next_after"]) == (
        1,
        "tester",
        None,
    )
    assert "(rung 0)" in cluster.type("job", number, "--units", "--limit", "1").stdout
    assert f"clustercore job {number} --units --after" in cluster.type("job", number, "--units", "--limit", "1").stderr
    assert cluster.type("cancel", number).returncode == 1
    assert cluster.type("rm", number).returncode == 0
    assert cluster.type("job", number).returncode == 2
    for verb in ("cancel", "pause", "resume", "retry", "rm"):
        refused = cluster.type(verb, number)
        assert (refused.returncode, f"there is no job {number}" in refused.stderr) == (2, True)
    entries = cluster.read("audit", "show", "--target", f"job {number}", "--json")
    assert sorted((entry["action"], entry["actor"].partition(":")[0]) for entry in entries) == [
        ("job.remove", "terminal"),
        ("job.submit", "terminal"),
    ]


def test_what_is_no_recording_fails_with_the_reason(cluster: Terminal, tmp_path: Path) -> None:
    path = tmp_path / "letter.mp3"
    path.write_text("Dear Sir or Madam")

    done = cluster.type("transcribe", str(path), "-l", "en")

    assert done.returncode == 1
    assert "This is not a recording" in done.stdout
    assert list(tmp_path.iterdir()) == [path]


def test_bad_wishes_are_refused_before_anything_is_queued(cluster: Terminal, clip: Path) -> None:
    clip = clip.rename(clip.with_name("refused.flac"))

    refused = [
        cluster.type("transcribe", str(clip), "-l", "klingon"),
        cluster.type("transcribe", str(clip), str(clip.with_name("absent.wav"))),
    ]

    assert [one.returncode for one in refused] == [2, 2]
    assert refused[0].stderr.count("language: 'klingon' is no language") == refused[0].stderr.count("language:") == 1
    assert "refused.flac" not in [job["title"] for job in cluster.read("jobs", "--json")]


def test_the_nodes_tell_what_they_can_do(cluster: Terminal) -> None:
    [node] = cluster.read("nodes", "--json")

    assert (node["name"], node["slots"]) == ("tester", 1)
    assert {"media:pyav", "pocketsphinx:en-us"} <= {model["label"] for model in node["models"] if model["usable"]}


def test_the_doctor_finds_nothing_broken(cluster: Terminal) -> None:
    findings = cluster.read("doctor", "--json")

    assert [finding for finding in findings if finding["state"] == "broken"] == []
    assert {"postgresql", "redis", "hub", "node"} <= {finding["about"] for finding in findings}
    assert status(cluster.data_dir)["phase"] == "ready", "it leaves alone what ran before"


def test_a_job_that_no_node_takes_says_why_and_goes_on_when_one_does(cluster: Terminal, clip: Path) -> None:
    assert cluster.type("nodes", "drain", "tester").returncode == 0
    deadline = time.monotonic() + 15
    while cluster.read("nodes", "--json")[0]["condition"] != "drained" and time.monotonic() < deadline:
        pass
    number = cluster.type("transcribe", str(clip), "-l", "en", "--no-wait").stdout.strip()

    assert "no node is taking work" in cluster.read("job", number, "--json")["waiting"]
    assert cluster.type("nodes", "undrain", "tester").returncode == 0
    assert cluster.type("job", number, "--watch").returncode == 0


def test_an_unreachable_database_is_an_answer_and_not_a_traceback(cluster: Terminal) -> None:
    nowhere = {"DATABASE_URL": "postgresql://a:b@127.0.0.1:1/c", "REDIS_URL": "redis://127.0.0.1:1/0"}

    asked = cluster.type("jobs", **nowhere)

    assert asked.returncode == 3
    assert "cannot be reached" in asked.stderr
    assert "Traceback" not in asked.stderr


def test_nobody_is_told_a_secret_of_the_hub_or_where_its_data_lie(cluster: Terminal) -> None:
    KeyFile(cluster.data_dir / "secrets" / "settings.keys").write([new_key()])
    start_flower(cluster)
    secrets = secrets_of(cluster.data_dir)
    assert {name.split()[0] for name in secrets} >= {
        "postgres",
        "redis",
        "django",
        "gateway",
        "flower",
        "settings.keys",
    }
    answers = {**celery_answers(cluster), **flower_answers(cluster), **web_answers(cluster)}
    assert leaks({"data directory": str(cluster.data_dir)}, answers) == []
    seen = {**answers, **what_the_machine_shows(cluster)}
    assert leaks(secrets, seen) == []
    for place, text in seen.items():
        planted = {place: f"{text} {' '.join(secrets.values())}"}
        assert len(leaks(secrets, planted)) == len(secrets), "the search finds what is there"


def celery_answers(cluster: Terminal) -> dict[str, str]:
    """From a real worker, which must have answered."""
    broker = celery_url(resolve_endpoints(cluster.data_dir, None, None).redis_url)
    with Celery("asker", broker=broker, set_as_current=False) as asker:
        ask = asker.control.inspect(timeout=20, destination=[f"tester@{gethostname()}"])
        inspected: dict[str, Any] = {"conf": ask.conf(with_defaults=True), "stats": ask.stats(), "report": ask.report()}
    [configuration] = inspected["conf"].values()
    assert "broker_url" in configuration
    assert all(len(answer) == 1 for answer in inspected.values())
    return {**{name: json.dumps(answer) for name, answer in inspected.items()}, "celery": cluster.celery("report")}


def start_flower(cluster: Terminal) -> None:
    """As the web process does when somebody looks at it."""
    os.utime(wanted_path(cluster.data_dir))
    deadline = time.monotonic() + COMMAND_SECONDS
    while not _listens(socket_path(cluster.data_dir)):
        assert time.monotonic() < deadline, "Flower does not start"
        time.sleep(0.1)


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def flower_answers(cluster: Terminal) -> dict[str, str]:
    """Its pages and its API, asked as the web process asks."""
    transport = httpx.HTTPTransport(uds=str(socket_path(cluster.data_dir)))
    with httpx.Client(transport=transport, auth=credentials(cluster.data_dir), timeout=30) as client:
        workers = client.get("http://flower/flower/api/workers?refresh=1").json()
        [name] = workers
        assert workers[name]["conf"]["broker_url"]
        pages = ("workers?json=1", f"worker/{name}", "tasks", "broker", "api/workers", "api/queues/length", "no-such")
        told = {page: client.get(f"http://flower/flower/{page}") for page in pages}
    assert [page for page, answer in told.items() if answer.status_code != 200] == ["no-such"]
    assert "cap.stt" in told["broker"].text, "Flower counts what waits without a password in Celery's configuration"
    return {f"flower {page}": f"{answer.headers} {answer.text}" for page, answer in told.items()}


def web_answers(cluster: Terminal) -> dict[str, str]:
    """What a stranger gets."""
    port = (cluster.data_dir / "run" / "web.port").read_text().strip()
    paths = ("/readyz", "/healthz", "/no-such", "/api/v1/jobs", "/api/v1/no-such", "/metrics", "/admin/", "/sign-in/")
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        answers = {path: client.get(path) for path in paths}
        answers["a bad form"] = client.post("/sign-in/", data={"name": "x"})
    assert answers["/readyz"].status_code == 200
    return {place: f"{answer.headers} {answer.text}" for place, answer in answers.items()}


def what_the_machine_shows(cluster: Terminal) -> dict[str, str]:
    """Logs and process lists, which name directories, and what people send each other for help."""
    logs = {path.name: path.read_text(errors="replace") for path in (cluster.data_dir / "logs").iterdir()}
    assert {"web.log", "flower.log", "node-tester.log"} <= set(logs)
    lines = {str(process.pid): " ".join(process.cmdline()) for process in cluster.processes()}
    return {**logs, **lines, "doctor": cluster.type("doctor", "--json").stdout, "nodes": cluster.type("nodes").stdout}


def test_only_processes_that_serve_pages_know_what_signs_sessions(tmp_path: Path) -> None:
    """Also where it was set by hand: the hub leaves it out of what nodes and Flower inherit."""
    assert keyless_variables()["CLUSTERCORE_SECRET_KEY"] is None
    terminal = a_terminal(tmp_path)
    ask = "import django; django.setup(); from django.conf import settings; print(settings.SECRET_KEY)"
    variables = {"DJANGO_SETTINGS_MODULE": "clustercore.project.settings", "CLUSTERCORE_SECRET_KEY": "k" * 60}
    refused = terminal.python("-c", ask, **variables)
    assert "SECRET_KEY setting must not be empty" in refused.stderr
    asked = terminal.python("-c", f"import clustercore.project.asgi; {ask}", **variables)
    assert asked.stdout.strip() == "k" * 60


def test_nothing_in_the_data_directory_is_open_to_others(cluster: Terminal) -> None:
    made = {path.name for path in cluster.data_dir.iterdir()}
    assert {"secrets", "run", "logs", "postgres", "redis"} <= made
    assert list(open_to_others(cluster.data_dir)) == []
    (cluster.data_dir / "logs" / "careless").touch(0o644)
    try:
        (cluster.data_dir / "logs" / "careless").chmod(0o644)
        assert len(list(open_to_others(cluster.data_dir))) == 1, "the walk finds what is open"
    finally:
        (cluster.data_dir / "logs" / "careless").unlink()


def test_down_stops_everything_and_says_what(cluster: Terminal) -> None:
    stopped = cluster.type_cold("down")

    assert stopped.returncode == 0
    for what in ("node tester", "the web process", "PostgreSQL and Redis"):
        assert what in stopped.stdout
    deadline = time.monotonic() + 10
    while cluster.processes() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert cluster.processes() == []
    assert "Nothing runs" in cluster.type("down").stdout
