"""Programs that run as long as their supervisor does, or while somebody asks for them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from clustercore.embedded.adapters import supervised
from clustercore.embedded.adapters.logs import tail
from clustercore.embedded.adapters.program import Demand, Program
from clustercore.embedded.adapters.supervised import SupervisedProgram
from clustercore.embedded.adapters.supervising_thread import SupervisingThread, supervising
from tests.fakes.nodes.polling import until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a hub needs Linux or macOS")

SLEEP = "print('up', flush=True); import time; time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
IDLE_SECONDS = 60.0
POLITELY = ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0))


def stays_untrue(condition: Callable[[], bool]) -> None:
    with pytest.raises(AssertionError):
        until(condition, seconds=0.3)


class Keeping:
    """A supervisor, what it said, and programs for it."""

    def __init__(self, thread: SupervisingThread, said: list[str], directory: Path) -> None:
        self.thread, self.said, self.directory = thread, said, directory

    def program(self, code: str = SLEEP) -> Program:
        return Program(
            name="a program",
            prepare=lambda: ([sys.executable, "-c", code], b""),
            stop_signals=POLITELY,
            log=self.directory / "program.log",
            environment=dict(os.environ),
        )

    def keep(self, program: Program) -> SupervisedProgram:
        one = self.thread.keep(program)
        until(lambda: one.pid is not None)
        return one


@pytest.fixture
def keeping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Keeping]:
    monkeypatch.setattr(supervised, "LOOK_SECONDS", 0.05)
    said: list[str] = []
    with supervising(said.append) as thread:
        yield Keeping(thread, said, tmp_path)


def kill(one: SupervisedProgram) -> int:
    pid = one.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    return pid


def test_a_program_that_dies_is_started_again_and_it_is_said(keeping: Keeping) -> None:
    one = keeping.keep(keeping.program())
    first = kill(one)

    until(lambda: one.pid not in (None, first))
    assert one.restarts == 1
    [told] = keeping.said
    assert told.startswith("a program ended (exit code -9); starting it again in 0.1 s; its log: ")


def test_a_program_that_lives_is_left_alone(keeping: Keeping) -> None:
    one = keeping.keep(keeping.program())
    first = one.pid
    until(lambda: one.state == "ready")

    stays_untrue(lambda: one.pid != first)
    assert (one.restarts, keeping.said) == (0, [])


def test_pauses_grow_for_one_that_never_gets_anywhere(keeping: Keeping) -> None:
    keeping.keep(keeping.program("raise SystemExit(3)"))

    until(lambda: len(keeping.said) >= 3)
    assert ["0.1 s" in keeping.said[0], "0.2 s" in keeping.said[1], "0.4 s" in keeping.said[2]] == [True] * 3


def test_one_that_gives_up_says_so_in_the_end(keeping: Keeping, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervised, "pause_before", lambda _failures, _lived: 0.0)
    one = keeping.thread.keep(replace(keeping.program("raise SystemExit(3)"), gives_up=True))

    until(lambda: one.state == "failed")


def test_one_that_cannot_be_started_is_tried_again_and_told_of_once(
    keeping: Keeping, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervised, "pause_before", lambda _failures, _lived: 0.05)
    one = keeping.thread.keep(replace(keeping.program(), log=tmp_path / "full/program.log"))
    until(lambda: one.restarts >= 3)
    (tmp_path / "full").mkdir()

    until(lambda: one.pid is not None)
    assert sum("cannot be started" in text for text in keeping.said) == 1


def test_one_that_does_not_obey_is_killed_in_the_end(keeping: Keeping) -> None:
    stubborn = replace(keeping.program(STUBBORN), stop_signals=((signal.SIGTERM, 0.2), (signal.SIGKILL, 5.0)))
    pid = keeping.keep(stubborn).pid
    until(lambda: tail(stubborn.log) == "up")

    keeping.thread.close()

    assert pid is not None
    assert not psutil.pid_exists(pid)


def test_it_is_ready_when_it_takes_work_and_not_before(keeping: Keeping, tmp_path: Path) -> None:
    async def answers() -> bool:
        return (tmp_path / "answers").exists()

    one = keeping.keep(replace(keeping.program(), probe=answers))
    stays_untrue(lambda: one.state == "ready")
    (tmp_path / "answers").touch()

    until(lambda: one.state == "ready")


def test_what_finishes_work_is_stopped_before_what_it_needs(keeping: Keeping, tmp_path: Path) -> None:
    note = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(print({!r}, flush=True))); {}"
    log = tmp_path / "both.log"
    slowly = "print('up', flush=True); time.sleep(60)"
    needed = replace(keeping.program(note.format("needed", slowly)), log=log)
    finishing = replace(keeping.program(note.format("finishing", slowly)), log=log, is_needed_last=False)
    keeping.keep(needed)
    keeping.keep(finishing)
    until(lambda: tail(log) == "up\nup")

    keeping.thread.close()

    assert tail(log).split() == ["up", "up", "finishing", "needed"]


def test_its_environment_is_its_own_and_its_output_goes_to_its_log(keeping: Keeping) -> None:
    show = "import os; print(os.environ['CLUSTERCORE_NODE_NAME'], 'REDIS_URL' in os.environ, flush=True)"
    keeping.keep(replace(keeping.program(f"{show}; {SLEEP}"), environment={"CLUSTERCORE_NODE_NAME": "second"}))

    until(lambda: tail(keeping.directory / "program.log") == "second False\nup")


def test_what_it_lacks_is_heard_from_its_words_where_they_are_read(keeping: Keeping) -> None:
    full = "import os, sys; print('cannot write:', os.strerror(28), flush=True); sys.stdin.read(); raise SystemExit(1)"

    async def never() -> bool:
        return False

    one = keeping.thread.keep(replace(keeping.program(full), tells_of_shortage=True, gives_up=True, probe=never))

    until(lambda: one.restarts >= 1)
    assert one.short == "no disk space left"
    assert "a program waits, the machine has no disk space left" in keeping.said
    assert "cannot write: No space left on device" in tail(keeping.directory / "program.log")


def test_a_program_is_not_in_the_terminals_group(keeping: Keeping) -> None:
    keeping.keep(keeping.program(f"import os; print(os.getsid(0) == os.getpid(), flush=True); {SLEEP}"))

    until(lambda: tail(keeping.directory / "program.log") == "True\nup")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child")
def test_a_program_ends_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    owner = (
        "import signal, sys, time; from pathlib import Path; "
        "from clustercore.embedded.adapters.program import Program; "
        "from clustercore.embedded.adapters.supervising_thread import SupervisingThread; "
        f"program = Program('a program', lambda: ([sys.executable, '-c', {SLEEP!r}], b''), "
        "((signal.SIGTERM, 5.0),), Path(sys.argv[1]), {}); "
        "one = SupervisingThread(print).keep(program)\n"
        "while one.pid is None: time.sleep(0.02)\n"
        "print(one.pid, flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", owner, str(tmp_path / "program.log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout is not None
        pid = int(supervisor.stdout.readline())
        assert psutil.pid_exists(pid)
        supervisor.kill()

    until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)


def demanded(keeping: Keeping, code: str = SLEEP) -> Program:
    """It is made known that one may ask for it; nobody has yet."""
    program = replace(keeping.program(code), demand=Demand(keeping.directory / "wanted", IDLE_SECONDS))
    one = keeping.thread.keep(program)
    until(lambda: one.state == "idle")
    return program


def kept(keeping: Keeping) -> SupervisedProgram:
    [one] = keeping.thread.programs
    return one


def ask(keeping: Keeping, seconds_ago: float = 0.0) -> None:
    moment = time.time() - seconds_ago
    os.utime(keeping.directory / "wanted", (moment, moment))


def test_nobody_asks_and_nothing_runs(keeping: Keeping) -> None:
    demanded(keeping)
    stays_untrue(lambda: kept(keeping).pid is not None)
    assert keeping.said == []


def test_it_starts_when_somebody_asks_and_ends_when_nobody_has_for_long(keeping: Keeping) -> None:
    demanded(keeping)
    ask(keeping)
    until(lambda: kept(keeping).state == "ready")
    pid = kept(keeping).pid

    ask(keeping, IDLE_SECONDS + 1)
    until(lambda: kept(keeping).state == "idle")
    assert not psutil.pid_exists(pid or 0), "it is left a zombie"
    started, ended = keeping.said
    assert started.startswith("a program starts: somebody looks at it")
    assert ended.startswith("a program ends: nobody has looked at it for 60 s")


def test_who_asks_while_it_ends_has_it_started_again(keeping: Keeping) -> None:
    stubborn = demanded(keeping, STUBBORN)
    ask(keeping)
    until(lambda: tail(stubborn.log) == "up")
    first = kept(keeping).pid
    ask(keeping, IDLE_SECONDS + 1)
    until(lambda: len(keeping.said) == 2)
    ask(keeping)
    os.kill(first or 0, signal.SIGKILL)

    until(lambda: kept(keeping).pid not in (None, first))


def test_one_that_dies_while_it_is_asked_for_is_started_again(keeping: Keeping) -> None:
    demanded(keeping)
    ask(keeping)
    until(lambda: kept(keeping).pid is not None)
    first = kill(kept(keeping))

    until(lambda: kept(keeping).pid not in (None, first))
    assert kept(keeping).restarts == 1


def test_nobody_can_ask_for_what_nobody_would_start(keeping: Keeping) -> None:
    demanded(keeping)
    keeping.thread.close()
    with pytest.raises(FileNotFoundError):
        ask(keeping)


def test_a_stop_that_comes_while_it_starts_is_obeyed(keeping: Keeping) -> None:
    async def stopped_at_once() -> str:
        one = SupervisedProgram(keeping.program(), keeping.said.append)
        life = asyncio.create_task(one.run())
        await one.stop()
        await asyncio.wait_for(life, 10)
        return one.state

    assert asyncio.run(stopped_at_once()) == "stopped"


def test_an_error_that_nobody_foresaw_is_not_kept_secret(tmp_path: Path) -> None:
    def broken() -> tuple[list[str], bytes]:
        raise ValueError("nobody foresaw it")

    thread = SupervisingThread(lambda _text: None)
    thread.keep(Program("a program", broken, POLITELY, tmp_path / "program.log", {}))

    with pytest.raises(ValueError, match="nobody foresaw it"):
        thread.close()
    thread.close()
