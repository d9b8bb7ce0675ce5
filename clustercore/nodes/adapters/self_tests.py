"""Tries each usable model once, in the background, when nothing else is to be done."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from django.db import Error, connection

from clustercore.embedded.domain.shortage import ResourceShortage, shortage_in
from clustercore.nodes.adapters.runners import RunnerPool
from clustercore.nodes.domain.consumption import SHORTAGE_SECONDS
from clustercore.nodes.domain.engine import EngineFailure, ModelRecord
from clustercore.nodes.domain.hooks import RunnerDied
from clustercore.nodes.domain.inventory import Inventory
from clustercore.nodes.domain.ledger import NodeLedger
from clustercore.nodes.domain.self_test import SelfTest, self_test_for, testable_labels

logger = logging.getLogger(__name__)

SELF_TEST_TAG = "self-test"
IDLE_CHECK_SECONDS = 1.0


def try_model(runners: RunnerPool, record: ModelRecord, test: SelfTest) -> dict[str, Any]:
    """One model's result: `passed`, `note`, `device`, `seconds` and `real_time_factor` (seconds per amount).

    Raises RunnerDied only when the node itself ended the runner, and ResourceShortage, which says nothing of the model.
    """
    try:
        loaded = runners.warm(record.engine, record.model, tag=SELF_TEST_TAG)
        started = time.perf_counter()
        request = test.request()
        result = runners.call(record.engine, record.model, request, tag=SELF_TEST_TAG, on_report=lambda *_: None)
        seconds = time.perf_counter() - started
        judgement = test.judge(result)
    except EngineFailure as failure:
        return {"passed": False, "note": failure.message}
    except RunnerDied as death:
        if death.deliberate:
            raise
        return {"passed": False, "note": f"the engine runner died: {death.reason}"}
    except Exception as error:
        if short := shortage_in(error):
            raise ResourceShortage(short) from error
        logger.exception("The self-test of %s:%s could not be judged", record.engine, record.model)
        return {"passed": False, "note": f"the self-test itself failed: {error}"}
    factor = seconds / judgement.amount if judgement.amount > 0 else None
    return {
        "passed": judgement.passed,
        "note": judgement.note,
        "device": loaded.device,
        "seconds": round(seconds, 3),
        "real_time_factor": None if factor is None else round(factor, 4),
    }


def run_self_tests(runners: RunnerPool, inventory: Inventory, may_go_on: Callable[[], bool]) -> dict[str, Any]:
    """All usable models that somebody said how to try: `{"inventory": [label], "models": {label: result}}`.

    `may_go_on` is asked before each model and may wait. Raises RunnerDied when it says no, or the node ends a runner,
    and ResourceShortage.
    """
    models: dict[str, Any] = {}
    for record in inventory.usable():
        test = self_test_for(record.capability)
        if test is not None:
            if not may_go_on():
                raise RunnerDied("the node stops", deliberate=True)
            models[f"{record.engine}:{record.model}"] = try_model(runners, record, test)
    return {"inventory": testable_labels(inventory.usable()), "models": models}


class SelfTestRun:
    """A background run that is skipped when a result for this very inventory is recorded already."""

    def __init__(
        self, runners: RunnerPool, ledger: NodeLedger, node_id: int, inventory: Inventory, is_idle: Callable[[], bool]
    ) -> None:
        self._runners = runners
        self._ledger = ledger
        self._node_id = node_id
        self._inventory = inventory
        self._is_idle = is_idle
        self._stopped = threading.Event()

    def start(self) -> None:
        """Returns at once."""
        threading.Thread(target=self._run, name="node self-test", daemon=True).start()

    def stop(self) -> None:
        """Ends the run without a result; it will be made at the next start."""
        self._stopped.set()
        self._runners.kill(SELF_TEST_TAG, "the node stops")

    def _run(self) -> None:
        labels = testable_labels(self._inventory.usable())
        try:
            if not labels or self._ledger.recorded_self_test(self._node_id).get("inventory") == labels:
                return
            connection.close()
            self._ledger.record_self_test(self._node_id, self._results())
            logger.info("The self-test of %s is done", ", ".join(labels))
        except RunnerDied as death:
            logger.info("The self-test ended: %s", death.reason)
        except Error as error:
            logger.warning("The self-test could not be recorded: %s", error)
        finally:
            connection.close()

    def _results(self) -> dict[str, Any]:
        """Begins anew for as long as the machine is short of something. Raises RunnerDied when the node stops."""
        while True:
            try:
                return run_self_tests(self._runners, self._inventory, self._may_go_on)
            except ResourceShortage as short:
                logger.warning("The self-test is put off: this machine has %s", short)
                self._stopped.wait(SHORTAGE_SECONDS)

    def _may_go_on(self) -> bool:
        """Waits until nothing else is to be done; False when the node stops."""
        while not self._is_idle():
            if self._stopped.wait(IDLE_CHECK_SECONDS):
                break
        return not self._stopped.is_set()
