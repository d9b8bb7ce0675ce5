"""What is written beside a model: its files, their sizes and checksums; and the addresses at which the hub has them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from clustercore.blobs.domain.signing import signature
from clustercore.nodes.domain.model_catalogue import is_plain_name

CHECKSUMS = "checksums.json"


def checked_files(document: Any) -> Mapping[str, Mapping[str, Any]]:
    """Returns name to `{"sha256", "size"}` of a record that came from outside. Raises ValueError."""
    files = document.get("files") if isinstance(document, dict) else None
    if not isinstance(files, dict) or not files or not all(map(_is_file, files.items())):
        raise ValueError("this is no record of a model's files")
    return files


def _is_file(item: tuple[Any, Any]) -> bool:
    name, wanted = item
    plain = isinstance(name, str) and all(is_plain_name(part) for part in name.split("/"))
    return (
        plain
        and isinstance(wanted, dict)
        and isinstance(wanted.get("size"), int)
        and re.fullmatch("[0-9a-f]{64}", str(wanted.get("sha256"))) is not None
    )


def signed_model_path(key: str, place: str, expires: int) -> str:
    """Returns path and query of one GET of `engine/model/file`; `expires` in seconds since 1970."""
    return f"/models/{place}?expires={expires}&signature={signature(key, 'GET', signed_name(place), expires)}"


def signed_name(place: str) -> str:
    """Returns what is signed in the place of a blob's hash, which never looks like this."""
    return f"models/{place}"
