"""Names and origins that are ours."""

from __future__ import annotations

import pytest

from clustercore.access.domain.hosts import host_name, is_own_name, is_own_origin


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("Hub.local:7420", "hub.local"),
        ("hub.local.", "hub.local"),
        ("[::1]:80", "::1"),
        ("192.168.1.10", "192.168.1.10"),
        ("", None),
        ("hub local", None),
        ("hub\r\nx: y", None),
        ("user@hub", None),
        ("hub/path", None),
        ("[hub]", None),
        ("hub:port", None),
    ],
)
def test_a_host_header_has_a_name_or_is_malformed(header: str, name: str | None) -> None:
    assert host_name(header) == name


@pytest.mark.parametrize("name", ["192.168.1.10", "::1", "8.8.8.8", "hub", "a.home.arpa"])
def test_addresses_and_our_own_names_may_be_used(name: str) -> None:
    assert is_own_name(name, {"hub", ".home.arpa"})


@pytest.mark.parametrize(
    "name", ["evil.example", "hub.evil.example", "home.arpa.evil.example", "127.0.0.1.nip.example"]
)
def test_a_strangers_name_for_our_address_may_not(name: str) -> None:
    assert not is_own_name(name, {"hub", ".home.arpa"})


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://hub:7420", "hub:7420"),
        ("http://hub", "hub"),
        ("https://hub", "hub"),
        ("https://hub", "hub:443"),
        ("http://[::1]:8000", "[::1]:8000"),
    ],
)
def test_an_origin_is_ours_when_host_and_port_agree(origin: str, host: str) -> None:
    assert is_own_origin(origin, host)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://evil.example", "hub"),
        ("http://hub:8000", "hub:7420"),
        ("http://hub.evil.example", "hub"),
        ("null", "hub"),
        ("", "hub"),
        ("file://hub", "hub"),
        ("http://hub@evil.example", "hub"),
        ("http://hub:99999999", "hub:99999999"),
    ],
)
def test_every_other_origin_is_foreign(origin: str, host: str) -> None:
    assert not is_own_origin(origin, host)
