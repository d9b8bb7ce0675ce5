"""Who waits for a turn, and who is told that they need not."""

from __future__ import annotations

import asyncio

import pytest

from clustercore.access.domain.turns import Turns
from clustercore.access.http.refusals import status_of
from clustercore.access.services.turns import TooManyAtOnce, Visitor, Waiter


def visitor(token: str, turns: Turns[Waiter]) -> Visitor:
    return Visitor("192.0.2.1", f"digest of {token}", turns)


async def waiting(one: Visitor) -> asyncio.Task[None]:
    task = asyncio.create_task(one.hold_turn())
    await asyncio.sleep(0)
    return task


def test_invented_tokens_that_fill_an_address_do_not_keep_out_who_is_new_there() -> None:
    async def attack() -> tuple[TooManyAtOnce, int]:
        turns: Turns[Waiter] = Turns(together=1, each=1, waiting=2)
        served = visitor("first", turns)
        await served.hold_turn()
        burst = [await waiting(visitor(token, turns)) for token in "xyzw" for _ in range(2)]
        new = visitor("new", turns)
        entered = await waiting(new)
        with pytest.raises(TooManyAtOnce) as refused:
            await burst[1]
        served.end_turn()
        await burst[0]
        assert not entered.done()
        for task in (*burst, entered):
            task.cancel()
        ended = await asyncio.gather(*burst, entered, return_exceptions=True)
        return refused.value, sum(isinstance(end, asyncio.CancelledError) for end in ended)

    refused, cancelled = asyncio.run(attack())
    assert (status_of(refused), refused.code) == (429, "too_many_at_once")
    assert cancelled == 7


def test_who_is_found_to_be_somebody_gets_no_more_turns_for_what_arrives_meanwhile() -> None:
    async def arrive() -> list[bool]:
        turns: Turns[Waiter] = Turns(together=8, each=2, waiting=10)
        served = [visitor("otto's", turns) for _ in range(2)]
        for one in served:
            await one.hold_turn()
        late = visitor("otto's", turns)
        # It is at the door already when a thread has read in the ledger whose token that is.
        entering = asyncio.create_task(late.hold_turn())
        served[0].is_person(4711)
        for _ in range(5):
            await asyncio.sleep(0)
        held = [one.holds_turn for one in (*served, late)]
        entering.cancel()
        await asyncio.gather(entering, return_exceptions=True)
        return held

    assert asyncio.run(arrive()) == [True, True, False]
