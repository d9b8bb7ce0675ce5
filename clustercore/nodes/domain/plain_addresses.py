"""Addresses in what people read: without the queries that sign them and the passwords in them."""

from __future__ import annotations

import re

_QUERY = re.compile(r"(?i)\b(https?://[^\s?#'\"<>]*)[?#][^\s'\"<>]*")
_USER = re.compile(r"(?i)\b(https?://)[^\s/?#@'\"<>]*@")


def without_secrets(text: str) -> str:
    """Returns the text with every HTTP address in it bare: no user, no query, no fragment."""
    return _QUERY.sub(r"\1", _USER.sub(r"\1", text))
