"""Engine runners: real child processes with engines of bad habits."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from clustercore.embedded.domain.shortage import ResourceShortage
from clustercore.nodes.adapters.runners import RunnerPool
from clustercore.nodes.domain.engine import EngineFailure, JsonObject
from clustercore.nodes.domain.hooks import RunnerDied
from tests.fakes.nodes import engines
from tests.fakes.nodes.polling import until

PLUGINS = {
    engine.name: f"{engine.__module__}:{engine.__qualname__}"
    for engine in (
        engines.Echo,
        engines.Chatter,
        engines.Crash,
        engines.Hang,
        engines.HangingLoad,
        engines.Steady,
    )
}


def ignore(fraction: float, event: JsonObject | None) -> None:
    del fraction, event


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[RunnerPool]:
    made = RunnerPool(PLUGINS, tmp_path, slots=2, threads=4, silent_seconds=30.0)
    yield made
    made.close()


class Running:
    """A call in a thread of its own, and how it ended."""

    def __init__(self, pool: RunnerPool, engine: str, request: JsonObject, tag: str = "unit") -> None:
        self.error: BaseException | None = None
        self.result: JsonObject = {}
        self.events: list[JsonObject] = []
        self.reported = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(pool, engine, request, tag))
        self._thread.start()

    def _run(self, pool: RunnerPool, engine: str, request: JsonObject, tag: str) -> None:
        try:
            self.result = pool.call(engine, "m", request, tag=tag, on_report=self._note)
        except BaseException as error:
            self.error = error

    def _note(self, fraction: float, event: JsonObject | None) -> None:
        self.events.append(event or {})
        self.reported.set()

    def end(self) -> BaseException | None:
        self._thread.join(20)
        assert not self._thread.is_alive()
        return self.error


def died(error: BaseException | None) -> RunnerDied:
    assert isinstance(error, RunnerDied), error
    return error


def test_a_request_is_answered_by_another_process_that_stays_warm(pool: RunnerPool) -> None:
    first = pool.call("echo", "m", {"text": "é\n1"}, tag="a", on_report=ignore)
    second = pool.call("echo", "m", {"text": "2"}, tag="b", on_report=ignore)
    assert first["echo"] == {"text": "é\n1"}
    assert first["process"] == second["process"] != psutil.Process().pid


def test_a_runner_keeps_to_its_share_of_threads(pool: RunnerPool) -> None:
    assert pool.call("echo", "m", {}, tag="a", on_report=ignore)["threads"] == "4"


def test_an_engine_that_prints_cannot_corrupt_the_protocol(pool: RunnerPool) -> None:
    assert pool.call("chatter", "m", {"n": 1}, tag="a", on_report=ignore)["echo"] == {"n": 1}


def test_an_engine_without_room_is_no_failure_of_the_engine(pool: RunnerPool) -> None:
    with pytest.raises(ResourceShortage, match="no disk space left"):
        pool.call("crash", "m", {"how": "disk full"}, tag="a", on_report=ignore)


def test_an_engine_without_memory_fails_so_that_a_smaller_model_is_tried(pool: RunnerPool) -> None:
    before = pool.call("crash", "m", {"how": "no"}, tag="a", on_report=ignore)["process"]
    with pytest.raises(EngineFailure, match="not the memory"):
        pool.call("crash", "m", {"how": "memory"}, tag="a", on_report=ignore)
    assert pool.call("crash", "m", {"how": "no"}, tag="a", on_report=ignore)["process"] != before


def test_progress_and_events_arrive_while_the_engine_works(pool: RunnerPool) -> None:
    seen: list[tuple[float, JsonObject | None]] = []
    request = {"steps": 4, "seconds": 0.2}
    pool.call("steady", "m", request, tag="a", on_report=lambda fraction, event: seen.append((fraction, event)))
    assert seen == [(0.25, {"step": 0}), (0.5, {"step": 1}), (0.75, {"step": 2}), (1.0, {"step": 3})]


def test_an_expected_failure_keeps_its_code_and_the_runner(pool: RunnerPool) -> None:
    before = pool.call("crash", "m", {"how": "no"}, tag="a", on_report=ignore)["process"]
    with pytest.raises(EngineFailure, match="not audio") as raised:
        pool.call("crash", "m", {"how": "failure"}, tag="a", on_report=ignore)
    assert raised.value.code == "unreadable"
    assert pool.call("crash", "m", {"how": "no"}, tag="a", on_report=ignore)["process"] == before


@pytest.mark.parametrize(
    ("how", "word"), [("raise", "ZeroDivisionError: seven"), ("not json", "not JSON serializable")]
)
def test_an_unexpected_exception_is_a_failure_with_its_traceback(pool: RunnerPool, how: str, word: str) -> None:
    with pytest.raises(EngineFailure, match=word) as raised:
        pool.call("crash", "m", {"how": how}, tag="a", on_report=ignore)
    assert raised.value.code == "unexpected"
    assert "Traceback" in raised.value.__notes__[0]


def test_a_model_that_does_not_load_says_so_and_leaves_no_process(pool: RunnerPool) -> None:
    with pytest.raises(EngineFailure) as raised:
        pool.call("echo", "missing", {}, tag="a", on_report=ignore)
    assert raised.value.code == "no_model"
    assert pool.processes() == []


def test_an_unknown_engine_is_named(pool: RunnerPool) -> None:
    with pytest.raises(EngineFailure, match="no engine 'whisper'"):
        pool.call("whisper", "m", {}, tag="a", on_report=ignore)


@pytest.mark.parametrize(("how", "reason"), [("exit", "exit code 3"), ("signal", "killed by SIGKILL")])
def test_a_crash_is_told_with_its_cause_and_its_last_words(pool: RunnerPool, how: str, reason: str) -> None:
    with pytest.raises(RunnerDied) as raised:
        pool.call("crash", "m", {"how": how}, tag="a", on_report=ignore)
    assert raised.value.reason == reason
    assert not raised.value.deliberate
    assert "last words" in raised.value.log_tail
    assert pool.call("crash", "m", {"how": "no"}, tag="a", on_report=ignore)["model"] == "m"


def test_a_silent_engine_is_killed_and_it_is_its_own_fault(tmp_path: Path) -> None:
    pool = RunnerPool(PLUGINS, tmp_path, slots=1, threads=1, silent_seconds=0.5)
    with pytest.raises(RunnerDied) as raised:
        pool.call("hang", "m", {}, tag="a", on_report=ignore)
    assert raised.value.reason == "hung: no progress for 0.5 s"
    assert not raised.value.deliberate
    assert pool.processes() == []
    pool.close()


def test_an_engine_that_reports_is_not_silent_however_long_it_takes(tmp_path: Path) -> None:
    pool = RunnerPool(PLUGINS, tmp_path, slots=1, threads=1, silent_seconds=0.5)
    assert pool.call("steady", "m", {"steps": 8, "seconds": 1.2}, tag="a", on_report=ignore)["steps"] == 8
    pool.close()


def test_a_listener_that_takes_long_is_not_the_engines_silence(tmp_path: Path) -> None:
    pool = RunnerPool(PLUGINS, tmp_path, slots=1, threads=1, silent_seconds=0.3)

    def slow(fraction: float, event: JsonObject | None) -> None:
        threading.Event().wait(0.8)

    assert pool.call("steady", "m", {"steps": 2, "seconds": 0.1}, tag="a", on_report=slow)["steps"] == 2
    pool.close()


def test_a_model_that_never_loads_is_killed(tmp_path: Path) -> None:
    pool = RunnerPool(PLUGINS, tmp_path, slots=1, threads=1, silent_seconds=30.0, load_seconds=0.6)
    with pytest.raises(RunnerDied, match="did not load for"):
        pool.call("hanging-load", "m", {}, tag="a", on_report=ignore)
    pool.close()


def test_a_kill_frees_the_caller_at_once_and_is_deliberate(pool: RunnerPool) -> None:
    running = Running(pool, "hang", {}, tag="unit 7")
    assert running.reported.wait(10)
    started = time.monotonic()
    pool.kill("unit 7", "cancelled by the user")
    error = died(running.end())
    assert time.monotonic() - started < 10.0
    assert (error.reason, error.deliberate) == ("cancelled by the user", True)
    assert not psutil.pid_exists(running.events[0]["process"])


def test_a_kill_takes_what_the_engine_started_with_it(pool: RunnerPool) -> None:
    running = Running(pool, "hang", {"descendant": True})
    until(lambda: len(running.events) == 2)
    pool.kill("unit", "cancelled")
    running.end()
    descendant = running.events[1]["descendant"]
    until(lambda: not psutil.pid_exists(descendant) or psutil.Process(descendant).status() == psutil.STATUS_ZOMBIE)


def test_a_kill_of_another_tag_disturbs_nobody(pool: RunnerPool) -> None:
    running = Running(pool, "steady", {"steps": 3, "seconds": 0.3}, tag="one")
    pool.kill("two", "cancelled")
    assert running.end() is None


def test_a_call_that_waits_for_a_slot_can_be_killed_too(tmp_path: Path) -> None:
    pool = RunnerPool(PLUGINS, tmp_path, slots=1, threads=1, silent_seconds=30.0)
    holder = Running(pool, "hang", {}, tag="holder")
    assert holder.reported.wait(10)
    waiting = Running(pool, "echo", {}, tag="waiting")
    until(lambda: pool.busy == 2)
    pool.kill("waiting", "cancelled")
    assert died(waiting.end()).deliberate
    assert len(pool.processes()) == 1
    pool.close("the node stops")
    assert died(holder.end()).reason == "the node stops"


def test_no_more_than_slots_work_and_one_more_lives(pool: RunnerPool) -> None:
    for model in "abcdef":
        pool.call("echo", model, {}, tag=model, on_report=ignore)
    assert len(pool.processes()) <= 3
    calls = [Running(pool, "steady", {"steps": 2, "seconds": 0.2}, tag=str(n)) for n in range(5)]
    assert [call.end() for call in calls] == [None] * 5
    assert len({call.result["process"] for call in calls}) <= 2
    assert len(pool.processes()) <= 3


def test_an_idle_runner_is_unloaded_and_loads_again_with_the_next_request(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="clustercore.nodes.adapters.runner_watchdog")
    pool = RunnerPool(PLUGINS, tmp_path, slots=1, threads=1, silent_seconds=30.0, idle_seconds=0.2)
    first = pool.call("echo", "m", {}, tag="a", on_report=ignore)["process"]
    until(lambda: not pool.processes() and not psutil.pid_exists(first))
    assert [record.getMessage() for record in caplog.records] == ["echo:m is unloaded: no request for 0.2 s"]
    assert pool.call("echo", "m", {}, tag="b", on_report=ignore)["process"] != first
    pool.close()


def test_a_runner_at_work_is_not_idle_however_long_it_takes(tmp_path: Path) -> None:
    pool = RunnerPool(PLUGINS, tmp_path, slots=1, threads=1, silent_seconds=30.0, idle_seconds=0.1)
    assert Running(pool, "steady", {"steps": 3, "seconds": 0.2}).end() is None
    pool.close()


def test_requests_that_arrive_while_runners_are_unloaded_are_all_answered(tmp_path: Path) -> None:
    pool = RunnerPool(PLUGINS, tmp_path, slots=2, threads=1, silent_seconds=30.0, idle_seconds=0.002)
    calls = [Running(pool, "echo", {"number": number}, tag=str(number)) for number in range(12)]
    assert [call.end() for call in calls] == [None] * 12
    assert [call.result["echo"]["number"] for call in calls] == list(range(12))
    pool.close()


def test_a_model_too_big_for_the_free_memory_ends_the_idle_ones(tmp_path: Path) -> None:
    sizes = {"big": 10**9}
    pool = RunnerPool(
        PLUGINS, tmp_path, slots=2, threads=1, silent_seconds=30.0, memory_need=lambda _, model: sizes.get(model, 0)
    )
    small = pool.call("echo", "small", {}, tag="a", on_report=ignore)["process"]
    pool.call("echo", "big", {}, tag="a", on_report=ignore)
    assert not psutil.pid_exists(small)
    pool.close()


def test_whatever_the_listener_raises_ends_the_request(pool: RunnerPool) -> None:
    process: list[int] = []

    def drop(fraction: float, event: JsonObject | None) -> None:
        process.append((event or {})["process"])
        raise LookupError("the lease is lost")

    with pytest.raises(LookupError, match="lease is lost"):
        pool.call("hang", "m", {}, tag="a", on_report=drop)
    assert not psutil.pid_exists(process[0])


def test_a_closed_pool_serves_nobody(pool: RunnerPool) -> None:
    pool.call("echo", "m", {}, tag="a", on_report=ignore)
    pool.close("the node stops")
    assert pool.processes() == []
    with pytest.raises(RunnerDied, match="the node stops") as raised:
        pool.call("echo", "m", {}, tag="a", on_report=ignore)
    assert raised.value.deliberate


def test_a_request_that_is_not_json_harms_nobody(pool: RunnerPool) -> None:
    with pytest.raises(TypeError):
        pool.call("echo", "m", {"value": object()}, tag="a", on_report=ignore)
    assert pool.call("echo", "m", {}, tag="a", on_report=ignore)["model"] == "m"


def test_a_runner_runs_nothing_that_lies_in_the_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pool: RunnerPool
) -> None:
    (tmp_path / "queue.py").write_text("import pathlib\npathlib.Path('executed').touch()\n", encoding="ascii")
    monkeypatch.chdir(tmp_path)
    assert pool.call("echo", "m", {"text": "1"}, tag="a", on_report=ignore)["echo"] == {"text": "1"}
    assert not (tmp_path / "executed").exists()
