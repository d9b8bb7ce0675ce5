from __future__ import annotations

import pytest

from clustercore.nodes.domain.plain_addresses import without_secrets


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ("403 for http://hub:1/models/a/b?expires=9&signature=ab12", "403 for http://hub:1/models/a/b"),
        ("for url 'https://x.org/m.bin?X-Amz-Signature=ff' (id 1)", "for url 'https://x.org/m.bin' (id 1)"),
        ("index https://me:secret@index.org/simple is away", "index https://index.org/simple is away"),
        ("HTTPS://me@x.org/a#token=1; again", "HTTPS://x.org/a again"),
        ("what is this? it asks me@example.org", "what is this? it asks me@example.org"),
    ],
)
def test_what_signs_an_address_is_not_told(text: str, bare: str) -> None:
    assert without_secrets(text) == bare
