"""Bringing results that were kept on disk to the hub that they are for, and to no other."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, Protocol
from uuid import UUID

from django.db import connections

from clustercore.blobs.adapters.files import hash_of
from clustercore.blobs.selectors import hub_identity
from clustercore.embedded.domain.database_trouble import is_busy
from clustercore.embedded.domain.shortage import shortage_in
from clustercore.jobs.adapters.attempts_in_flight import IN_FLIGHT
from clustercore.jobs.domain.lifecycle import AttemptOutcome
from clustercore.jobs.domain.spooling import SpooledResult
from clustercore.jobs.domain.verdict import HandBack, Retry
from clustercore.jobs.models import Attempt, Job
from clustercore.jobs.services.events import record_event
from clustercore.jobs.services.mishaps import HUB_AWAY, hub_trouble
from clustercore.jobs.services.placing import UNFINISHED, Deliverer, place
from clustercore.jobs.services.result_files import Attachments, StoreAway, stored
from clustercore.jobs.services.settle import Settled, settle_or_retry
from clustercore.nodes.domain.hooks import Agent, Spool

logger = logging.getLogger(__name__)

KEPT_FOR_ANOTHER_HUB_DAYS = 30
"""How long a result waits for a hub that this node does not meet."""

SENDING_PAUSE_SECONDS = 5.0
"""Before files are offered again to a hub that did not take them."""


class Aside(Protocol):
    """Does one thing at a time beside the thread that asks for it."""

    def start(self, work: Callable[[], None]) -> None:
        """Begins it; nothing happens while the last one goes on."""
        ...


class InThread:
    """Implements `Aside`; the node does not wait for it when it stops."""

    def __init__(self) -> None:
        self._thread = threading.Thread()

    def start(self, work: Callable[[], None]) -> None:
        """As `Aside.start`."""
        if not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, args=[work], name="delivery of files", daemon=True)
            self._thread.start()

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        finally:
            connections.close_all()


class Delivery:
    """Empties this node's spools, in the agent's upkeep; nothing else waits for results with files."""

    def __init__(self, aside: Aside | None = None) -> None:
        self._aside = aside or InThread()
        self._offered: set[tuple[str, str]] = set()
        self._sending_due = float("-inf")
        self._told: set[str] = set()

    def adopt(self, agent: Agent) -> None:
        """Makes this process the holder of what an earlier one of this node had finished, and could not bring yet."""
        hubs = agent.spools.hubs()
        here = hub_identity() if hubs else ""
        kept = agent.spools.of(here).items() if here in hubs else []
        keys = keys_in(document for _, document in kept if has_files(document))
        if keys:
            live = Attempt.objects.filter(node_name=agent.name, outcome=AttemptOutcome.LIVE)
            live.filter(key__in=keys).update(instance=agent.instance)
            IN_FLIGHT.keep(keys)

    def deliver(self, agent: Agent) -> None:
        """Delivers what is kept for this hub; looks once whether this hub is what became of another one."""
        kept_for = agent.spools.hubs()
        if not kept_for:
            return
        here = hub_identity()
        for hub in kept_for:
            if hub == here:
                self._deliver_all(agent, hub)
            elif (hub, here) not in self._offered and self._offer_all(agent, hub):
                self._offered.add((hub, here))

    def _deliver_all(self, agent: Agent, hub: str) -> None:
        spool = agent.spools.of(hub)
        kept = spool.items()
        self._send(agent, spool, {name for name, document in kept if has_files(document)})
        each_in_turn(
            partial(self._deliver_one, agent, spool, name, document)
            for name, document in kept
            if not has_files(document)
        )

    def _deliver_one(self, agent: Agent, spool: Spool, name: str, document: Mapping[str, Any]) -> None:
        """Forgets what was delivered and nothing else. Raises HUB_AWAY."""
        try:
            deliver_one(agent, spool, name, document)
        except HUB_AWAY:
            raise
        except Exception as error:
            if short := shortage_in(error):
                agent.hold_while_short(short)
                return
            logger.exception("the kept result %s cannot be delivered, and is set aside", name)
            spool.set_aside(name)
        else:
            spool.remove(name)
        IN_FLIGHT.forget(keys_in([document]))

    def _send(self, agent: Agent, spool: Spool, names: Collection[str]) -> None:
        """Results with files, aside."""
        if names and time.monotonic() >= self._sending_due:
            self._aside.start(lambda: self._send_all(agent, spool, names))

    def _send_all(self, agent: Agent, spool: Spool, names: Collection[str]) -> None:
        try:
            # Looked at again: what was being sent when the names were gathered may be delivered by now.
            each_in_turn(
                partial(self._send_one, agent, spool, name, document)
                for name, document in spool.items()
                if name in names
            )
        except HUB_AWAY as absence:
            logger.warning("results with files are kept on disk for now: %s", hub_trouble(absence))
            self._sending_due = time.monotonic() + SENDING_PAUSE_SECONDS

    def _send_one(self, agent: Agent, spool: Spool, name: str, document: Mapping[str, Any]) -> None:
        try:
            self._deliver_one(agent, spool, name, document)
        except StoreAway as absence:
            if name not in self._told:
                tell_kept(agent, document, absence)
                self._told.add(name)
            raise

    def _offer_all(self, agent: Agent, hub: str) -> bool:
        """Whether that was all; results with files take longer, and are offered until this hub has them."""
        spool = agent.spools.of(hub)
        spool.forget_older_than(KEPT_FOR_ANOTHER_HUB_DAYS * 86_400)
        known = [(name, document) for name, document in spool.items() if is_known_here(document)]
        with_files = [name for name, document in known if has_files(document)]
        self._send(agent, spool, with_files)
        each_in_turn(
            partial(self._deliver_one, agent, spool, name, document)
            for name, document in known
            if not has_files(document)
        )
        if not with_files and hub in agent.spools.hubs():
            logger.warning("results for another hub (%s…) are kept until this node works for it again", hub[:12])
        return not with_files


def each_in_turn(calls: Iterable[Callable[[], None]]) -> None:
    """Calls all of them, also where somebody has locked what one needs; that is raised at the end, an absence at once.

    Raises HUB_AWAY.
    """
    busy: Exception | None = None
    for call in calls:
        try:
            call()
        except HUB_AWAY as trouble:
            if not is_busy(trouble):
                raise
            busy = trouble
    if busy is not None:
        raise busy


def keys_in(documents: Iterable[Mapping[str, Any]]) -> list[UUID]:
    """The keys of the attempts of which these are the results; one that cannot be read has none."""
    keys = []
    for document in documents:
        with suppress(ValueError):
            keys.append(SpooledResult.from_json(document).key)
    return keys


def has_files(document: Mapping[str, Any]) -> bool:
    """Whether bytes go with a result."""
    return bool(document.get("files"))


def deliver_one(agent: Agent, spool: Spool, name: str, document: Mapping[str, Any]) -> None:
    """Settles one result that was kept on disk, by its attempt's key or else by what it was made of.

    Its files are stored first, as far as it may still count. Raises StoreAway.
    """
    found = with_stored_files(SpooledResult.from_json(document), spool, name)
    outcome = settle_or_retry(found.key, found.verdict, found.served_by, found.files)
    if outcome is Settled.UNKNOWN:
        outcome = place(found, Deliverer(agent.node_id, agent.name, agent.instance, agent.boot_id))
    logger.info("a result of %s %s, kept on disk, was delivered: %s", found.stage, found.ordinal, outcome)


def tell_kept(agent: Agent, document: Mapping[str, Any], absence: StoreAway) -> None:
    """Tells a job why a unit of it that is done does not end."""
    found = SpooledResult.from_json(document)
    for job_id in Job.objects.filter(key=found.job_key).values_list("pk", flat=True):
        text = f"{found.stage} {found.ordinal} is done and waits on {agent.name}: {absence}"
        record_event(job_id, "files_kept", text, node_name=agent.name)


def with_stored_files(found: SpooledResult, spool: Spool, name: str) -> SpooledResult:
    """The result once its bytes are at the hub; as a failed try where they came to harm. Raises StoreAway."""
    if not found.files:
        return found
    if not _may_count(found):
        return replace(found, verdict=HandBack("its files are not sent, as it cannot count any more"), files={})
    try:
        paths = {file.sha256: spool.file(name, file.sha256) for file in found.files.values()}
        harm = any(not path.is_file() or hash_of(path) != sha256 for sha256, path in paths.items())
    except (OSError, MemoryError) as trouble:
        raise StoreAway(f"the files of a result cannot be read now: {trouble}") from trouble
    if harm:
        harmed = Retry("the files of its result came to harm on the disk of the node that made them")
        return replace(found, verdict=harmed, files={})
    verdict, files = stored(found.verdict, Attachments(found.files, paths))
    return replace(found, verdict=verdict, files=files)


def _may_count(found: SpooledResult) -> bool:
    """Whether its attempt is live, or unknown here and of a job that goes on. What is not may never be again."""
    outcome = Attempt.objects.filter(key=found.key).values_list("outcome", flat=True).first()
    if outcome is not None:
        return outcome == AttemptOutcome.LIVE
    return Job.objects.filter(key=found.job_key, state__in=UNFINISHED).exists()


def is_known_here(document: Mapping[str, Any]) -> bool:
    """Whether this ledger has the attempt or the job of a result; both keys are beyond guessing."""
    try:
        found = SpooledResult.from_json(document)
    except ValueError:
        return False
    return Attempt.objects.filter(key=found.key).exists() or Job.objects.filter(key=found.job_key).exists()
