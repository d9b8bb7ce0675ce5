"""How long a token may live, as people choose it."""

from __future__ import annotations

from collections.abc import Mapping

DEFAULT_DAYS = 90
LONGEST_DAYS = 3650
CHOICES: Mapping[int, str] = {
    7: "a week",
    30: "a month",
    DEFAULT_DAYS: "three months",
    365: "a year",
    0: "until it is revoked",
}
"""Days to words; 0 is for ever."""
