"""Whose turn it is: many wait in lanes, one lane for each person or address, and the lanes are served in rotation."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar


class LaneFull(Exception):
    """So many wait in this lane already that one more would only wait in vain."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where somebody waits. `part` divides a lane: its parts are served in rotation too."""

    lane: str
    part: str = ""


@dataclass(eq=False)
class Ticket:
    """Somebody who waits, or whose turn it is. Who was served before is not `bounded`: they always may wait."""

    place: Place
    bounded: bool = True


T = TypeVar("T", bound=Ticket)


@dataclass(slots=True)
class _Lane(Generic[T]):
    running: set[T] = field(default_factory=set)
    parts: OrderedDict[str, deque[T]] = field(default_factory=OrderedDict)

    def waiting(self) -> int:
        return sum(map(len, self.parts.values()))

    def take_for(self, part: str) -> T | None:
        """The newest of the fullest part, out of it, where one more of `part` is still fewer; None where not."""
        fullest = max(self.parts, key=lambda name: len(self.parts[name]))
        if len(self.parts.get(part, ())) + 1 >= len(self.parts[fullest]):
            return None
        newest = next((one for one in reversed(self.parts[fullest]) if one.bounded), None)
        if newest is not None:
            self.parts[fullest].remove(newest)
        return newest

    def next(self) -> T:
        """The first of the part that was served longest ago."""
        part, queue = self.parts.popitem(last=False)
        one = queue.popleft()
        if queue:
            self.parts[part] = queue
        return one


class Turns(Generic[T]):
    """At most `together` turns at once, of which one lane has `each`; `waiting` may wait in a part of a lane, and four
    times as many in all of it."""

    def __init__(self, together: int, each: int, waiting: int) -> None:
        self._together, self._each, self._waiting = together, each, waiting
        self._running = 0
        self._lanes: OrderedDict[str, _Lane[T]] = OrderedDict()

    def enter(self, one: T) -> T | None:
        """Waits from now on; returns who no longer does for it. Raises LaneFull."""
        lane = self._lanes.get(one.place.lane) or _Lane()
        leaving: T | None = None
        if one.bounded and len(lane.parts.get(one.place.part, ())) >= self._waiting:
            raise LaneFull
        if one.bounded and lane.waiting() >= 4 * self._waiting and (leaving := lane.take_for(one.place.part)) is None:
            raise LaneFull
        self._lanes.setdefault(one.place.lane, lane).parts.setdefault(one.place.part, deque()).append(one)
        return leaving

    def begin(self) -> Iterator[T]:
        """Those whose turn begins now."""
        while self._running < self._together and (name := self._next_lane()) is not None:
            self._lanes.move_to_end(name)
            one = self._lanes[name].next()
            self._lanes[name].running.add(one)
            self._running += 1
            yield one

    def end(self, one: T) -> None:
        """A turn that had begun is over."""
        self._lanes[one.place.lane].running.remove(one)
        self._running -= 1
        self._forget_idle(one.place.lane)

    def leave(self, one: T) -> None:
        """Waits no longer; without effect for who does not wait."""
        lane = self._lanes.get(one.place.lane)
        queue = lane.parts.get(one.place.part) if lane is not None else None
        if lane is None or queue is None or one not in queue:
            return
        queue.remove(one)
        if not queue:
            del lane.parts[one.place.part]
        self._forget_idle(one.place.lane)

    def move(self, place: Place, to: Place) -> None:
        """All of one place go to another lane: those who wait, behind who waits there, and those whose turn it is."""
        lane = self._lanes.get(place.lane)
        if lane is None or place.lane == to.lane:
            return
        running = {one for one in lane.running if one.place == place}
        waiting = lane.parts.pop(place.part, deque())
        lane.running -= running
        for one in (*running, *waiting):
            one.place = to
        there = self._lanes.setdefault(to.lane, _Lane())
        there.running |= running
        if waiting:
            there.parts.setdefault(to.part, deque()).extend(waiting)
        self._forget_idle(place.lane)
        self._forget_idle(to.lane)

    def _next_lane(self) -> str | None:
        lanes = self._lanes.items()
        return next((name for name, lane in lanes if lane.parts and len(lane.running) < self._each), None)

    def _forget_idle(self, name: str) -> None:
        if not self._lanes[name].running and not self._lanes[name].parts:
            del self._lanes[name]
