"""How sound is sampled everywhere here."""

from __future__ import annotations

SAMPLE_RATE = 16_000
"""Samples per second of every piece, mono, 16 bits."""
