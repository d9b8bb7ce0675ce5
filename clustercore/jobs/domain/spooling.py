"""A result that could not be delivered, with all that says which unit of which hub it is for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from clustercore.jobs.domain.result_files import Files, files_from_json, files_to_json
from clustercore.jobs.domain.verdict import Verdict, from_json, to_json


@dataclass(frozen=True, slots=True, kw_only=True)
class SpooledResult:
    """A verdict on its way. Its attempt's key alone lets it count; the rest finds its unit in a restored ledger."""

    key: UUID
    job_key: UUID
    stage: str
    ordinal: int
    input_hash: str
    verdict: Verdict
    served_by: Mapping[str, Any]
    files: Files = field(default_factory=dict)
    """Their bytes lie in the spool beside this, by their hashes."""

    def to_json(self) -> dict[str, Any]:
        """As a document for the spool."""
        return {
            "key": str(self.key),
            "job_key": str(self.job_key),
            "stage": self.stage,
            "ordinal": self.ordinal,
            "input_hash": self.input_hash,
            "served_by": dict(self.served_by),
            "verdict": to_json(self.verdict),
            "files": files_to_json(self.files),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> SpooledResult:
        """What `to_json` wrote. Raises ValueError for anything else, a document without a key among it."""
        try:
            return cls(
                key=UUID(document["key"]),
                job_key=UUID(document["job_key"]),
                stage=str(document["stage"]),
                ordinal=int(document["ordinal"]),
                input_hash=str(document["input_hash"]),
                served_by=dict(document["served_by"]),
                verdict=from_json(document["verdict"]),
                # Documents of the time before there were files have none.
                files=files_from_json(document.get("files", {})),
            )
        except (KeyError, TypeError, AttributeError) as problem:
            raise ValueError(f"not a result of this version: {problem!r}") from problem


def hash_of_input(
    *,
    kind: str,
    payload: Mapping[str, Any],
    parameters: Mapping[str, Any],
    language: str | None,
    engine: str,
    model: str,
) -> str:
    """SHA-256 in hexadecimal of all that a self-contained stage's result follows from."""
    content = [kind, payload, parameters, language, engine, model]
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
