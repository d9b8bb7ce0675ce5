"""Who types at this machine."""

from __future__ import annotations

import getpass

from clustercore.access.domain.identity import Identity, at_terminal


def account() -> Identity:
    """Returns who types, as the audit log names them: an account of this machine, which holds the ledger's password."""
    return at_terminal(getpass.getuser())
