"""Models that people ask nodes to bring, from a page: the wish and how far it is stand in the ledger.

A node asks the hub first, then the hub of models, then the packages that carry the model. Of several nodes that are
asked for the same model one goes at a time, those on the hub's machine first: what has come there goes on over the
local network.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, TypeVar

from django.db import Error, connection, transaction
from django.db.models.functions import Now

from clustercore.blobs.domain.addresses import hub_base_url
from clustercore.blobs.selectors import SIGNATURE_SECONDS, HubNow, hub_now
from clustercore.config.environment import environment
from clustercore.nodes.adapters.hardware import read_hardware
from clustercore.nodes.adapters.hub_models import HubModels
from clustercore.nodes.adapters.model_sources import Fetching
from clustercore.nodes.adapters.model_store import PulledModel, has, pull, pull_from_hub
from clustercore.nodes.domain.hooks import Agent
from clustercore.nodes.domain.model_catalogue import CATALOGUE, ModelStoreError, entry_for, split_label
from clustercore.nodes.domain.model_record import signed_model_path
from clustercore.nodes.domain.plain_addresses import without_secrets
from clustercore.nodes.models import ModelPull, Node, PullState
from clustercore.nodes.selectors import OLD_PULL, live_nodes

logger = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
TELL_SECONDS = 1.0
FORGET_SECONDS = 3600.0
UNFINISHED = (PullState.ASKED, PullState.PULLING)
MESSAGE_CHARACTERS = 400
OF_THIS_MACHINE = frozenset({"budget_exceeded", "disk_full", "model_in_use", "pull_running"})
"""Failures that another source would end in, too."""

_Answer = TypeVar("_Answer")


class PullStopped(Exception):
    """The node stops: the pull is begun again after its next start."""


@transaction.atomic
def ask_for_model(label: str, node_names: Iterable[str]) -> list[str]:
    """Asks those of the nodes that are there to bring a model; returns their names. Raises ModelStoreError."""
    engine, model = split_label(label)
    label = f"{engine}:{model}"
    if not has(label, environment().models_directory):
        entry_for(label)
    here = read_hardware().boot_id
    nodes = sorted(Node.objects.filter(name__in=list(node_names)), key=lambda node: (node.boot_id != here, node.name))
    ModelPull.objects.filter(node__in=nodes, label=label).delete()
    total = CATALOGUE[label].size_mb * 1_000_000 if label in CATALOGUE else 0
    ModelPull.objects.bulk_create(ModelPull(node=node, label=label, total_bytes=total, asked=Now()) for node in nodes)
    return [node.name for node in nodes]


def next_pull(node_id: int) -> ModelPull | None:
    """What the node should bring now; None while others that are live bring the same model."""
    for wanted in ModelPull.objects.filter(node_id=node_id, state=PullState.ASKED):
        earlier = ModelPull.objects.filter(label=wanted.label, state__in=UNFINISHED, pk__lt=wanted.pk)
        if not earlier.filter(node__in=live_nodes()).exists():
            return wanted
    return None


class ModelPuller:
    """The node agent's hook: one pull at a time, in a thread of its own."""

    def __init__(self) -> None:
        self._due = self._forget_due = 0.0
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()

    def on_start(self, agent: Agent) -> None:
        """What a process before this one began is begun again."""
        self._stopping.clear()
        ModelPull.objects.filter(node_id=agent.node_id, state=PullState.PULLING).update(state=PullState.ASKED)

    def on_tick(self, agent: Agent) -> None:
        """Looks now and then, and starts what was asked for."""
        now = time.monotonic()
        if now >= self._forget_due:
            self._forget_due = now + FORGET_SECONDS
            ModelPull.objects.filter(OLD_PULL).delete()
        if now < self._due or (self._thread is not None and self._thread.is_alive()):
            return
        self._due = now + LOOK_SECONDS
        wanted = next_pull(agent.node_id)
        if wanted is not None and _begun(wanted):
            self._thread = threading.Thread(
                target=_carry_out, args=(wanted, self._stopping), name="model pull", daemon=True
            )
            self._thread.start()

    def on_hand_back(self, agent: Agent) -> None:  # noqa: ARG002
        """Asks the pull to end, and waits for nothing: what was begun goes on after the next start, and its child ends
        with this process if not before."""
        self._stopping.set()


def _begun(wanted: ModelPull) -> bool:
    """False where it was asked anew meanwhile: then its row is another one."""
    return bool(ModelPull.objects.filter(pk=wanted.pk, state=PullState.ASKED).update(state=PullState.PULLING))


def _carry_out(wanted: ModelPull, stopping: threading.Event) -> None:
    try:
        pulled = _bring(wanted.label, _Progress(wanted, stopping), stopping)
    except Exception as error:  # a thread of its own: whatever happens is told where the wish stands
        if stopping.is_set():
            return
        reason = without_secrets(str(error))
        logger.warning("The model %s could not be brought: %s", wanted.label, reason)
        _note_end(wanted.pk, stopping, state=PullState.FAILED, message=reason[:MESSAGE_CHARACTERS])
        return
    source = pulled.source if pulled is not None else "it was here already"
    size = pulled.size_bytes if pulled is not None else wanted.total_bytes
    logger.info("The model %s is here, from %s", wanted.label, source)
    told = {"message": source[:MESSAGE_CHARACTERS], "done_bytes": size, "total_bytes": size}
    _note_end(wanted.pk, stopping, state=PullState.DONE, **told)


def _bring(label: str, progress: _Progress, stopping: threading.Event) -> PulledModel | None:
    """Returns None where it lies here already, as on the hub's machine when another node of it was asked, too."""
    settings = environment()
    directory, budget_gb = settings.models_directory, settings.models_budget_gb
    if has(label, directory):
        return None
    try:
        return pull_from_hub(label, directory, budget_gb, _hub_models(stopping), progress.show)
    except ModelStoreError as failure:
        if failure.code in OF_THIS_MACHINE or not _is_known(label):
            raise
        logger.info("The model %s is not brought from the hub: %s", label, failure.message)
    return pull(label, directory, budget_gb, fetching=Fetching(progress=progress.show, tell=progress.tell))


def _is_known(label: str) -> bool:
    """Whether any source but the hub can have it."""
    try:
        entry_for(label)
    except ModelStoreError:
        return False
    return True


def _hub_models(stopping: threading.Event) -> HubModels:
    def hub() -> HubNow:
        return _heard(hub_now, stopping)

    def signed(place: str) -> str:
        found = hub()
        return signed_model_path(found.hub.signing_key, place, int(found.now.timestamp()) + SIGNATURE_SECONDS)

    settings = environment()
    return HubModels(hub_base_url(settings.hub_url, settings.database_url, hub().hub.blob_url), signed)


class _Progress:
    """Writes down how far a pull is, about once a second. Raises PullStopped once the node stops."""

    def __init__(self, wanted: ModelPull, stopping: threading.Event) -> None:
        self._wanted = wanted
        self._stopping = stopping
        self._files: dict[str, int] = {}
        self._due = 0.0

    def show(self, name: str, done: int, total: int | None) -> None:  # noqa: ARG002
        self._end_if_stopping()
        self._files[name] = done
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + TELL_SECONDS
        _note(self._wanted.pk, done_bytes=sum(self._files.values()))

    def tell(self, text: str) -> None:
        self._end_if_stopping()
        self._files.clear()
        _note(self._wanted.pk, message=without_secrets(text)[:MESSAGE_CHARACTERS])

    def _end_if_stopping(self) -> None:
        if self._stopping.is_set():
            raise PullStopped


def _note(pull_id: int, **columns: Any) -> None:
    """The ledger may be away for a moment: how far a pull is can be told later."""
    try:
        ModelPull.objects.filter(pk=pull_id).update(**columns)
    except Error as error:
        logger.warning("How far the pull is could not be told: %s", error)
    finally:
        connection.close()


def _note_end(pull_id: int, stopping: threading.Event, **columns: Any) -> None:
    """The end of a pull is told until it is heard, or until the node stops, which then looks again."""
    with suppress(PullStopped):
        _heard(lambda: ModelPull.objects.filter(pk=pull_id).update(**columns), stopping)


def _heard(ask: Callable[[], _Answer], stopping: threading.Event) -> _Answer:
    """Asks the ledger until it answers; it may be away for a moment. Raises PullStopped once the node stops."""
    while True:
        try:
            return ask()
        except Error as error:
            logger.warning("The ledger does not answer: %s", error)
        finally:
            connection.close()
        if stopping.wait(LOOK_SECONDS):
            raise PullStopped
