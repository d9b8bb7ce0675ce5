from __future__ import annotations

import hashlib

import pytest

from clustercore.blobs.domain.signing import Refusal, refusal, signature, signed_path

KEY = "k" * 64
HASH = hashlib.sha256(b"x").hexdigest()
EXPIRES = 1_800_000_000


def ask(**changes: object) -> Refusal | None:
    asked = {"method": "GET", "sha256": HASH, "expires": str(EXPIRES), "given": signature(KEY, "GET", HASH, EXPIRES)}
    asked |= {name: str(value) for name, value in changes.items()}
    return refusal(
        KEY,
        asked["method"],
        asked["sha256"],
        expires=asked["expires"],
        given=asked["given"],
        now=float(changes.get("now", EXPIRES - 1)),  # type: ignore[arg-type]
    )


def test_a_signature_opens_what_it_was_made_for() -> None:
    assert ask() is None
    assert ask(method="HEAD") is None


def test_a_signature_lasts_until_its_expiry() -> None:
    assert ask(now=EXPIRES) is None
    assert ask(now=EXPIRES + 1) is Refusal.EXPIRED


@pytest.mark.parametrize(
    "change",
    [
        {"method": "PUT"},
        {"method": "DELETE"},
        {"sha256": "0" * 64},
        {"expires": EXPIRES + 3600},
        {"given": ""},
        {"given": "0" * 64},
        {"given": "ä" * 64},
        {"expires": ""},
        {"expires": "-1"},
        {"expires": "١٢"},
        {"expires": "9" * 400},
    ],
)
def test_a_signature_opens_nothing_else(change: dict[str, object]) -> None:
    assert ask(**change) is Refusal.BAD_SIGNATURE


def test_another_key_signs_otherwise() -> None:
    assert signature("a", "GET", HASH, EXPIRES) != signature("b", "GET", HASH, EXPIRES)


def test_an_expired_url_with_a_wrong_signature_does_not_tell_that_it_expired() -> None:
    assert ask(given="0" * 64, now=EXPIRES + 1) is Refusal.BAD_SIGNATURE


def test_the_signed_path_carries_what_the_check_needs() -> None:
    path, _, query = signed_path(KEY, "PUT", HASH, EXPIRES).partition("?")
    given = dict(pair.split("=") for pair in query.split("&"))
    assert path == f"/blobs/{HASH}"
    assert refusal(KEY, "PUT", HASH, expires=given["expires"], given=given["signature"], now=EXPIRES) is None
