"""What the program that runs a command gives it. Rooms lie below the program, which says once who it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

Tell = Callable[[str], None]
"""Is told, in words, what happens."""


class Program(Protocol):
    """What only the whole of it knows."""

    def cluster(self) -> AbstractContextManager[None]:
        """As `cluster` below."""
        ...

    def private_cluster(
        self, nodes: Sequence[str], prepare: Callable[[], None], tell: Tell
    ) -> AbstractContextManager[Callable[[], None]]:
        """As `private_cluster` below."""
        ...

    def hub_address(self) -> str:
        """As `hub_address` below."""
        ...

    def take_signing_key(self) -> None:
        """As `take_signing_key` below."""
        ...


_PROGRAM: list[Program] = []


def use_program(program: Program) -> None:
    """Makes the program known, before a command is loaded."""
    _PROGRAM[:] = [program]


def cluster() -> AbstractContextManager[None]:
    """Holds the cluster's servers for a block that reads or writes the ledger. Raises Unreachable, OperationalError."""
    return _PROGRAM[0].cluster()


def private_cluster(
    nodes: Sequence[str], prepare: Callable[[], None], tell: Tell
) -> AbstractContextManager[Callable[[], None]]:
    """Runs a hub and its nodes in this data directory for a block, and nothing of it afterwards; `prepare` is called
    before they start.

    Yields what is to be called now and then: it starts again what ended. Raises CommandError.
    """
    return _PROGRAM[0].private_cluster(nodes, prepare, tell)


def hub_address() -> str:
    """Returns where the pages of this machine's hub are; empty while none is up."""
    return _PROGRAM[0].hub_address()


def take_signing_key() -> None:
    """Gives this process what sessions and links are signed with."""
    _PROGRAM[0].take_signing_key()
