"""Tables and states on a terminal. Names from outside become Text, never markup."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

STATE_STYLES = {
    "running": "cyan", "leased": "cyan", "online": "green", "done": "green", "queued": "default", "paused": "yellow",
    "waiting": "yellow", "held": "yellow", "idle": "yellow", "drained": "yellow", "draining": "yellow",
    "failed": "red", "dead": "red", "offline": "red",
    "cancelled": "dim", "skipped": "dim", "asking": "yellow",
}  # fmt: skip


def state_text(state: str) -> Text:
    """Returns a state in its colour."""
    return Text(state, STATE_STYLES.get(state, "default"))


def table(*columns: str, right: Sequence[str] = ()) -> Table:
    """Returns an empty table with these headings; those of `right` hold numbers."""
    made = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return made
