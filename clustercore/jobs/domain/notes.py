"""Lines of a job's story that belong to its result."""

from __future__ import annotations

NOTE = "note"
"""The name of such a line: what was found out about a recording, say. It stays as long as its job."""
