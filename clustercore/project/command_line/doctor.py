from __future__ import annotations
def doctor() -> int:
    """What works."""
    return 0
