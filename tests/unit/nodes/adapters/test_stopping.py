"""In which order a node stops, whoever asks for it, and that it ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from clustercore.nodes.adapters import stopping
from clustercore.nodes.adapters.bootstep import AgentStep
from clustercore.nodes.adapters.stopping import Stopper
from tests.fakes.nodes.polling import until

LONG_SECONDS = 30.0


class Stopping:
    """A stopper and what it did, in order; its worker never ends by itself."""

    def __init__(self, grace_seconds: float = LONG_SECONDS) -> None:
        self.did: list[Any] = []
        self.busy = 1
        self.intake = SimpleNamespace(hold=lambda *_: self.did.append("hold"))
        self.hub_answers = threading.Event()
        self.hub_answers.set()
        self.stopper = Stopper(self, grace_seconds, self._end_worker, self._leave)  # type: ignore[arg-type]
        self.thread = threading.Thread(target=self.stopper._wait)
        self.thread.start()

    def stop_self_test(self) -> None:
        """There is none."""

    def end(self) -> None:
        self.hub_answers.wait(LONG_SECONDS)
        self.did.append("handed back")

    def _end_worker(self, code: int) -> None:
        self.did.append(("end worker", code))

    def _leave(self, code: int) -> None:
        self.did.append(("leave", code))


@pytest.fixture
def stops(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stopping]:
    monkeypatch.setattr(stopping, "EXIT_SECONDS", 0.1)
    made = Stopping()
    yield made
    made.hub_answers.set()
    for _ in range(2):
        made.stopper.request("the end of the test")
    made.thread.join(LONG_SECONDS)


def ended_with(code: int) -> list[Any]:
    return ["hold", "handed back", ("end worker", code), ("leave", code)]


def test_a_signal_after_celerys_shutdown_ends_the_grace_and_cuts_off_no_hand_back(stops: Stopping) -> None:
    celery = threading.Thread(target=stops.stopper.hand_back, args=["the worker's shutdown"])
    celery.start()
    until(lambda: stops.did == ["hold"])
    stops.stopper.request("SIGTERM")
    celery.join(LONG_SECONDS)
    stops.thread.join(LONG_SECONDS)
    assert stops.did == ended_with(0)


def test_celerys_shutdown_after_a_signal_ends_the_grace_and_waits_until_all_is_handed_back(stops: Stopping) -> None:
    stops.hub_answers.clear()
    stops.stopper.request("SIGTERM")
    until(lambda: stops.did == ["hold"])
    celery = threading.Thread(target=stops.stopper.hand_back, args=["the worker's shutdown"])
    celery.start()
    celery.join(0.2)
    assert celery.is_alive()
    stops.hub_answers.set()
    celery.join(LONG_SECONDS)
    assert stops.did[:2] == ["hold", "handed back"]


def test_a_hub_that_does_not_answer_is_not_waited_for(
    stops: Stopping, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(stopping, "HAND_BACK_SECONDS", 0.1)
    stops.hub_answers.clear()
    stops.busy = 0
    stops.stopper.hand_back("SIGTERM")
    stops.thread.join(LONG_SECONDS)
    assert stops.did == ["hold", ("end worker", 0), ("leave", 0)]
    assert "when its leases run out" in caplog.text


def test_an_agent_that_failed_ends_the_process_with_its_code_though_no_slot_comes_back(stops: Stopping) -> None:
    stops.busy = 0
    step = AgentStep.__new__(AgentStep)
    step._stopper = stops.stopper
    step._end_worker(1)
    stops.thread.join(LONG_SECONDS)
    assert stops.did == ended_with(1)


@pytest.mark.parametrize(("exitcode", "code"), [(None, 0), (0, 0), (1, 1), ("a reason", 1)])
def test_a_worker_that_celery_ends_leaves_with_celerys_code_though_no_slot_comes_back(
    stops: Stopping, exitcode: Any, code: int
) -> None:
    stops.busy = 0
    step = AgentStep.__new__(AgentStep)
    step._stopper = stops.stopper
    step.stop(SimpleNamespace(exitcode=exitcode))
    stops.thread.join(LONG_SECONDS)
    assert stops.did == ended_with(code)


def test_a_hand_back_that_fails_keeps_no_process_alive(stops: Stopping) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    stops.intake.hold = fail
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(threading, "excepthook", lambda _: None)
        stops.stopper.hand_back("SIGTERM")
        stops.thread.join(LONG_SECONDS)
    assert stops.did == [("end worker", 0), ("leave", 0)]
