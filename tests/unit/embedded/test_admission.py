"""Who has to go so that somebody else can come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clustercore.embedded.adapters.postgres import MOST_CONNECTIONS
from clustercore.embedded.domain.admission import NEWCOMERS, SETTLED, Admission, Quota, Visit
from clustercore.embedded.domain.protocols import Protocol

HERE, THERE = "192.0.2.1", "192.0.2.2"
SMALL = dict.fromkeys(Protocol, Quota(address=2, total=3))


def book(connections: int = 100) -> Admission:
    return Admission(connections, SMALL, SMALL, SMALL)


def newcomer(admission: Admission, address: str, protocol: Protocol = Protocol.UNKNOWN) -> Visit:
    visit = Visit(address)
    assert admission.arrive(visit) is None
    if protocol is not Protocol.UNKNOWN:
        assert admission.speak(visit, protocol) is None
    return visit


def settled(admission: Admission, address: str, protocol: Protocol) -> Visit:
    visit = newcomer(admission, address, protocol)
    assert admission.settle(visit) is None
    return visit


def test_where_an_address_is_full_its_oldest_newcomer_goes() -> None:
    admission = book()
    oldest, _, elsewhere = newcomer(admission, HERE), newcomer(admission, HERE), newcomer(admission, THERE)
    assert admission.arrive(Visit(HERE)) is oldest
    assert admission.speak(elsewhere, Protocol.WEB) is None
    assert len(admission) == 3


def test_where_all_addresses_are_full_the_oldest_of_the_fullest_goes() -> None:
    admission = book()
    newcomer(admission, THERE)
    oldest = newcomer(admission, HERE)
    newcomer(admission, HERE)
    assert admission.arrive(Visit("192.0.2.3")) is oldest


def test_each_protocol_has_room_of_its_own() -> None:
    admission = book()
    for protocol in Protocol:
        newcomer(admission, HERE, protocol)
        newcomer(admission, HERE, protocol)
    assert len(admission) == 8


def test_who_has_authenticated_makes_room_for_newcomers() -> None:
    admission = book()
    settled(admission, HERE, Protocol.REDIS)
    settled(admission, HERE, Protocol.REDIS)
    newcomer(admission, HERE, Protocol.REDIS)
    newcomer(admission, HERE, Protocol.REDIS)
    assert len(admission) == 4


@pytest.mark.parametrize("protocol", [Protocol.POSTGRES, Protocol.REDIS])
def test_what_works_stays_and_the_one_too_many_goes(protocol: Protocol) -> None:
    admission = book()
    settled(admission, HERE, protocol)
    settled(admission, HERE, protocol)
    late = newcomer(admission, HERE, protocol)
    assert admission.settle(late) is late
    assert len(admission) == 2


def test_of_pages_connections_the_one_that_is_silent_for_longest_goes() -> None:
    admission = book()
    first, second = settled(admission, HERE, Protocol.WEB), settled(admission, HERE, Protocol.WEB)
    admission.hear(first)
    assert admission.settle(newcomer(admission, HERE, Protocol.WEB)) is second


def test_of_those_who_began_to_encrypt_the_one_that_is_silent_for_longest_goes() -> None:
    admission = book()
    node, stranger = newcomer(admission, HERE, Protocol.POSTGRES), newcomer(admission, HERE, Protocol.POSTGRES)
    assert admission.encrypt(node) is admission.encrypt(stranger) is None
    admission.hear(node)
    assert admission.encrypt(newcomer(admission, HERE, Protocol.POSTGRES)) is stranger


def test_those_who_began_to_encrypt_take_no_place_of_those_who_authenticated() -> None:
    admission = book()
    for _ in range(5):
        admission.encrypt(newcomer(admission, HERE, Protocol.POSTGRES))
    assert len(admission) == 2
    settled(admission, HERE, Protocol.POSTGRES)
    settled(admission, HERE, Protocol.POSTGRES)


NEIGHBOURS = [f"2001:db8:1:2::{number}" for number in range(3)]
"""Of one network, which is one household."""


@pytest.mark.parametrize("protocol", [Protocol.POSTGRES, Protocol.REDIS])
def test_nodes_of_one_network_have_places_of_their_own(protocol: Protocol) -> None:
    admission = book()
    for address in NEIGHBOURS:
        settled(admission, address, protocol)
    assert len(admission) == 3


def test_who_gave_no_password_shares_the_places_of_the_network() -> None:
    admission = book()
    strangers = [newcomer(admission, address) for address in NEIGHBOURS[:2]]
    assert admission.arrive(Visit(NEIGHBOURS[2])) is strangers[0]
    admission = book()
    pages = [settled(admission, address, Protocol.WEB) for address in NEIGHBOURS[:2]]
    assert admission.settle(newcomer(admission, NEIGHBOURS[2], Protocol.WEB)) is pages[0]


def test_a_full_gateway_closes_strangers_before_who_has_authenticated() -> None:
    admission = book(connections=2)
    settled(admission, HERE, Protocol.POSTGRES)
    stranger = newcomer(admission, HERE)
    assert admission.arrive(Visit(THERE)) is stranger


def test_a_gateway_full_of_authenticated_connections_refuses_the_newcomer() -> None:
    admission = book(connections=1)
    settled(admission, HERE, Protocol.REDIS)
    late = Visit(THERE)
    assert admission.arrive(late) is late


def test_what_is_closed_twice_is_counted_once() -> None:
    admission = book()
    gone = newcomer(admission, HERE)
    newcomer(admission, HERE)
    admission.leave(gone)
    admission.leave(gone)
    assert len(admission) == 1


@given(st.lists(st.tuples(st.sampled_from([HERE, THERE, "x"]), st.sampled_from([*Protocol]), st.booleans())))
def test_no_order_of_events_exceeds_a_limit(events: list[tuple[str, Protocol, bool]]) -> None:
    admission, staying = book(connections=5), set[Visit]()
    for address, protocol, settles in events:
        visit = Visit(address)
        staying.add(visit)
        staying.discard(admission.arrive(visit))
        if visit in staying and protocol is not Protocol.UNKNOWN:
            staying.discard(admission.speak(visit, protocol))
            if visit in staying and settles:
                staying.discard(admission.settle(visit))
        assert len(admission) == len(staying) <= 5


def test_strangers_and_nodes_leave_a_third_of_the_database_to_the_hub() -> None:
    through_the_gateway = NEWCOMERS[Protocol.POSTGRES].total + SETTLED[Protocol.POSTGRES].total
    assert through_the_gateway <= MOST_CONNECTIONS * 2 / 3
