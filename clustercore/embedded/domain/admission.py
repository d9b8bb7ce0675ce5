"""Who may stay: the gateway's connections, counted by address and by what they came for.

A connection is a newcomer until it has authenticated. Where newcomers are too many, the oldest of the address that has
the most goes, so that whoever comes next gets in. No address is exempt: behind one address, strangers and nodes may
live together.

Of a connection that began to encrypt nobody can see whether it authenticates. It has a place of its own until the
server itself would have ended it; where those are too many, the one that is silent for longest goes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from clustercore.embedded.domain.addresses import household
from clustercore.embedded.domain.logins import Stage
from clustercore.embedded.domain.protocols import Protocol


@dataclass(frozen=True, slots=True)
class Quota:
    """How many connections there may be at once, of one address and of all together."""

    address: int
    total: int

    def scaled(self, share: float) -> Quota:
        """This share of it, and never nobody."""
        return Quota(max(1, int(self.address * share)), max(1, int(self.total * share)))


NEWCOMERS = {
    Protocol.UNKNOWN: Quota(256, 512),
    Protocol.POSTGRES: Quota(24, 48),
    Protocol.REDIS: Quota(96, 256),
    Protocol.WEB: Quota(64, 256),
}
ENCRYPTED = {Protocol.POSTGRES: Quota(16, 24)}
SETTLED = {
    Protocol.POSTGRES: Quota(100, 150),
    Protocol.REDIS: Quota(200, 600),
    Protocol.WEB: Quota(200, 600),
}
"""With the newcomers two thirds of what PostgreSQL takes: the rest is for the hub itself, which comes another way."""


@dataclass(eq=False, slots=True)
class Visit:
    """One connection, as the book knows it."""

    address: str
    protocol: Protocol = Protocol.UNKNOWN
    stage: Stage = Stage.NEWCOMER
    household: str = field(init=False)

    def __post_init__(self) -> None:
        self.household = household(self.address)

    @property
    def counted_as(self) -> str:
        """Whose places it takes: of whoever gave a password the address's own, else those of its household.

        The machines of one network are one household where they use IPv6, and nodes of one cluster.
        """
        gave_password = self.stage is Stage.SETTLED and self.protocol is not Protocol.WEB
        return self.address if gave_password else self.household


class Admission:
    """The book. Each entry names the connection that has to go for it, and strikes it off: maybe the one that came."""

    def __init__(
        self,
        connections: int = 1000,
        newcomers: Mapping[Protocol, Quota] = NEWCOMERS,
        encrypted: Mapping[Protocol, Quota] = ENCRYPTED,
        settled: Mapping[Protocol, Quota] = SETTLED,
    ) -> None:
        self.connections = connections
        self._rooms = {
            (stage, protocol): _Room(quota)
            for stage, quotas in ((Stage.NEWCOMER, newcomers), (Stage.ENCRYPTED, encrypted), (Stage.SETTLED, settled))
            for protocol, quota in quotas.items()
        }

    def __len__(self) -> int:
        return sum(room.total for room in self._rooms.values())

    def arrive(self, visit: Visit) -> Visit | None:
        """Enters a newcomer."""
        leaving = self._room(visit).enter(visit)
        if leaving is None and len(self) > self.connections:
            leaving = self._of_the_fullest_room()
        return self._without(leaving)

    def speak(self, visit: Visit, protocol: Protocol) -> Visit | None:
        """The newcomer's protocol is known."""
        self._room(visit).leave(visit)
        visit.protocol = protocol
        return self._without(self._room(visit).enter(visit))

    def encrypt(self, visit: Visit) -> Visit | None:
        """What passes on the newcomer's connection cannot be read from now on."""
        return self._without(self._move(visit, Stage.ENCRYPTED))

    def settle(self, visit: Visit) -> Visit | None:
        """It has authenticated. Where all is full, what works already stays.

        The web process's connections have only asked for something: of them the one that is silent for longest goes.
        """
        leaving = self._move(visit, Stage.SETTLED)
        return self._without(leaving if leaving is None or visit.protocol is Protocol.WEB else visit)

    def hear(self, visit: Visit) -> None:
        """Something passes on it: it is not the one that is silent for longest."""
        if visit.stage is not Stage.NEWCOMER:
            self._room(visit).refresh(visit)

    def leave(self, visit: Visit) -> None:
        """Strikes it off, if it is still there."""
        self._room(visit).leave(visit)

    def _move(self, visit: Visit, stage: Stage) -> Visit | None:
        self._room(visit).leave(visit)
        visit.stage = stage
        return self._room(visit).enter(visit)

    def _room(self, visit: Visit) -> _Room:
        return self._rooms[visit.stage, visit.protocol]

    def _without(self, leaving: Visit | None) -> Visit | None:
        if leaving is not None:
            self.leave(leaving)
        return leaving

    def _of_the_fullest_room(self) -> Visit | None:
        """Who goes where the gateway itself is full: somebody of the rooms that hold strangers."""
        of_strangers = [
            room
            for (stage, protocol), room in self._rooms.items()
            if stage is not Stage.SETTLED or protocol is Protocol.WEB
        ]
        return max(of_strangers, key=lambda room: room.total).first_of_the_fullest()


@dataclass(slots=True)
class _Room:
    """Connections of one kind, by whose they are, in the order in which they are to go."""

    quota: Quota
    total: int = 0
    visits: dict[str, dict[Visit, None]] = field(default_factory=dict)

    def enter(self, visit: Visit) -> Visit | None:
        mine = self.visits.setdefault(visit.counted_as, {})
        mine[visit] = None
        self.total += 1
        if len(mine) > self.quota.address:
            return next(iter(mine))
        return self.first_of_the_fullest() if self.total > self.quota.total else None

    def leave(self, visit: Visit) -> None:
        mine = self.visits.get(visit.counted_as, {})
        if visit in mine:
            del mine[visit]
            self.total -= 1
        if not mine:
            self.visits.pop(visit.counted_as, None)

    def refresh(self, visit: Visit) -> None:
        mine = self.visits.get(visit.counted_as, {})
        if visit in mine:
            del mine[visit]
            mine[visit] = None

    def first_of_the_fullest(self) -> Visit | None:
        fullest = max(self.visits.values(), key=len, default={})
        return next(iter(fullest), None)
