"""Turns at the ledger: what needs a thread and a connection waits here for one, before it takes either.

A process has few connections, and whoever waits for one of the pool in vain is answered with an error. So that nobody's
burst is everybody's error, each person has a share of the turns and the rest of their requests wait in their own lane.
Who somebody is is read from the ledger: until a token or a session was seen to be good, what comes with it waits in the
lane of its address, apart from the others there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

from clustercore.access.domain.errors import TooMany, Unavailable
from clustercore.access.domain.turns import LaneFull, Place, Ticket, Turns
from clustercore.embedded.domain.addresses import household

MOST_WAITING = 100
LONGEST_WAIT_SECONDS = 10.0
_RETRY_SECONDS = 2
_MOST_KNOWN = 10_000
_known: dict[str, int] = {}
"""Digests of tokens and sessions that were good, and whose they are. They decide who waits where, and nothing else."""
_present: ContextVar[Visitor | None] = ContextVar("visitor", default=None)


class TooManyAtOnce(TooMany):
    """One lane holds as many as may wait in it."""

    code = "too_many_at_once"


class HubBusy(Unavailable):
    """No turn came in time."""

    code = "busy"


class Waiter(Ticket):
    """A ticket that can be awaited, once."""

    def __init__(self, place: Place, *, bounded: bool) -> None:
        super().__init__(place, bounded)
        self.came: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Visitor:
    """Who is behind a request or a WebSocket, as far as it can be told without asking the ledger.

    `credential` is a digest of the token or session that was sent, so that these stay out of lists; empty for none.
    """

    def __init__(self, address: str, credential: str, turns: Turns[Waiter]) -> None:
        self._credential = credential
        self._stranger = Place(f"address:{household(address)}", credential)
        self._turns, self._loop = turns, asyncio.get_running_loop()
        self._held: Waiter | None = None
        self._was_served = False

    @property
    def holds_turn(self) -> bool:
        return self._held is not None

    def is_person(self, user_id: int | None) -> None:
        """Whose credential this is: what comes with it waits in their lane. None: it opens nothing, or no longer does.

        May be called from any thread.
        """
        if user_id is None or not self._credential:
            _known.pop(self._credential, None)
        elif _known.get(self._credential) != user_id:
            self._loop.call_soon_threadsafe(self._go_home, user_id)

    async def hold_turn(self) -> None:
        """Waits for a turn and keeps it until `end_turn`.

        Raises TooManyAtOnce where too many wait in this lane, HubBusy where it took too long.
        """
        if self._held is None:
            self._held = await self.begin()

    def end_turn(self) -> None:
        """Without effect where no turn is held."""
        if self._held is not None:
            waiter, self._held = self._held, None
            self.end(waiter)

    async def begin(self) -> Waiter:
        """A turn, to be given back with `end`. Raises as `hold_turn` does, but never once something was served."""
        waiter = Waiter(self._place(), bounded=not self._was_served)
        try:
            leaving = self._turns.enter(waiter)
        except LaneFull:
            raise _too_many() from None
        if leaving is not None and not leaving.came.done():
            leaving.came.set_exception(LaneFull())
        self._go_on()
        await self._until_it_comes(waiter)
        self._was_served = True
        return waiter

    def end(self, waiter: Waiter) -> None:
        self._turns.end(waiter)
        self._go_on()

    async def _until_it_comes(self, waiter: Waiter) -> None:
        try:
            async with asyncio.timeout(None if self._was_served else LONGEST_WAIT_SECONDS):
                await waiter.came
        except BaseException as error:
            if waiter.came.done() and not waiter.came.cancelled() and waiter.came.exception() is None:
                self.end(waiter)
            self._turns.leave(waiter)
            if isinstance(error, LaneFull):
                raise _too_many() from None
            if isinstance(error, TimeoutError):
                message = "too much is asked of the hub at this moment: try again"
                raise HubBusy(message, retry_after=_RETRY_SECONDS) from None
            raise

    def _go_home(self, user_id: int) -> None:
        """Known and moved in one step: who came in between would begin in an empty lane, beyond the person's share."""
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        _known[self._credential] = user_id
        self._turns.move(self._stranger, self._place())
        self._go_on()

    def _go_on(self) -> None:
        for waiter in self._turns.begin():
            if waiter.came.done():
                # Whoever waited has left, and did not come to say so yet.
                self._turns.end(waiter)
            else:
                waiter.came.set_result(None)

    def _place(self) -> Place:
        user_id = _known.get(self._credential)
        return self._stranger if user_id is None else Place(f"user:{user_id}")


@asynccontextmanager
async def turn() -> AsyncIterator[None]:
    """Around what asks the ledger in a thread. Outside a request, and in one that holds a turn, it costs nothing."""
    visitor = _present.get()
    if visitor is None or visitor.holds_turn:
        yield
        return
    waiter = await visitor.begin()
    try:
        yield
    finally:
        visitor.end(waiter)


def visitor_here() -> Visitor | None:
    """Who is behind what is being served."""
    return _present.get()


def receive_visitor(visitor: Visitor) -> None:
    """From now on this task, and what it starts, serves this visitor."""
    _present.set(visitor)


def _too_many() -> TooManyAtOnce:
    message = f"{MOST_WAITING} of your requests are waiting already: send fewer at once"
    return TooManyAtOnce(message, retry_after=_RETRY_SECONDS)
