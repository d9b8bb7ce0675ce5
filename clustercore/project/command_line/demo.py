from __future__ import annotations
def demo() -> int:
    """Show it working."""
    return 0
