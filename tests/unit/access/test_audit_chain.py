"""The chain of the audit log as a rule on plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clustercore.access.domain.audit_chain import (
    GENESIS,
    LONGEST_TEXT,
    Break,
    Entry,
    Head,
    canonical,
    clean_detail,
    clean_text,
    digest_of,
    first_break,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def chain(length: int) -> list[Entry]:
    entries: list[Entry] = []
    previous = GENESIS
    for seq in range(1, length + 1):
        entry = Entry(seq, NOON + timedelta(seconds=seq), "ada", 7, "job.cancelled", f"job {seq}", {}, previous)
        previous = digest_of(entry)
        entries.append(replace(entry, digest=previous))
    return entries


def checkpoint(entry: Entry) -> Head:
    return Head(entry.seq, entry.digest, entry.at)


def test_a_chain_as_it_was_written_ends_where_it_ends() -> None:
    entries = chain(5)
    assert first_break(entries, checkpoints=[checkpoint(one) for one in entries]) == checkpoint(entries[-1])


def test_the_digest_of_an_entry_is_the_same_in_every_version() -> None:
    entry = Entry(1, NOON, "ada", None, "token.created", "token 3", {"b": [1, None], "a": "ä\n"}, GENESIS)
    assert (
        canonical(entry)
        == (
            '[1,"2026-01-01T12:00:00.000000Z","ada",null,"token.created","token 3",{"a":"ä\\n","b":[1,null]},"'
            + GENESIS
            + '"]'
        ).encode()
    )
    assert digest_of(entry) == "17fa8a7228373fb7250e78e3ea3b9455b6e595ab9688e24ad7850610e38da079"


def test_a_moment_counts_and_not_the_zone_it_is_told_in() -> None:
    entry = chain(1)[0]
    assert digest_of(replace(entry, at=entry.at.astimezone(timezone(timedelta(hours=5))))) == entry.digest


@given(st.data())
def test_whatever_is_taken_out_put_in_or_moved_is_found_at_or_before_its_place(data: st.DataObject) -> None:
    entries = chain(data.draw(st.integers(2, 12)))
    seen = checkpoint(entries[-1])
    place = data.draw(st.integers(0, len(entries) - 1))
    other = data.draw(st.integers(0, len(entries) - 1))
    kind = data.draw(st.sampled_from(["take out", "repeat", "swap", "change", "cut"]))
    changed: Sequence[Entry] = entries
    if kind == "take out":
        changed = entries[:place] + entries[place + 1 :]
    elif kind == "repeat":
        changed = [*entries[: place + 1], *entries[place:]]
    elif kind == "swap" and place != other:
        changed = list(entries)
        changed[place], changed[other] = entries[other], entries[place]
        place = min(place, other)
    elif kind == "change":
        changed = [*entries[:place], replace(entries[place], actor="olga"), *entries[place + 1 :]]
    elif kind == "cut":
        changed = entries[:place]
    else:
        return
    found = first_break(changed, checkpoints=[seen])
    assert isinstance(found, Break)
    assert found.seq <= place + 2


def test_a_part_is_checked_from_where_another_ended() -> None:
    entries = chain(6)
    middle = first_break(entries[:3])
    assert isinstance(middle, Head)
    assert first_break(entries[3:], middle) == checkpoint(entries[-1])
    assert isinstance(first_break(entries[4:], middle), Break)


def test_a_part_that_ends_before_a_checkpoint_is_no_break_until_it_is_the_end() -> None:
    entries = chain(6)
    seen = [checkpoint(entries[5])]
    assert isinstance(first_break(entries[:3], checkpoints=seen, to_the_end=False), Head)
    assert first_break(entries[:3], checkpoints=seen) == Break(
        4, "the log ends before it, but a checkpoint has seen entry 6"
    )


def test_two_checkpoints_that_disagree_are_a_break() -> None:
    entries = chain(3)
    disagreeing = [checkpoint(entries[1]), replace(checkpoint(entries[1]), digest="f" * 64)]
    assert isinstance(first_break(entries, checkpoints=disagreeing), Break)


@pytest.mark.parametrize(
    ("given_detail", "kept"),
    [
        ({"password": "hunter2"}, {"password": "•••"}),
        ({"new_password": "hunter2", "name": "otto"}, {"new_password": "•••", "name": "otto"}),
        ({"client_secret": ["a", "b"]}, {"client_secret": "•••"}),
        ({"token": 7}, {"token": "•••"}),
        ({"token_id": 7, "tokens": 3}, {"token_id": 7, "tokens": 3}),
        ({"had_password": True, "secret": None}, {"had_password": True, "secret": None}),
        ({"headers": {"Authorization": "Bearer x"}}, {"headers": {"Authorization": "•••"}}),
        ({"note": "it is cc_abcdefgh12345 now"}, {"note": "it is cc_••• now"}),
        ({"scopes": {"view", "submit"}}, {"scopes": ["submit", "view"]}),
    ],
)
def test_what_is_a_secret_by_its_name_or_its_look_is_masked(given_detail: Any, kept: Any) -> None:
    assert clean_detail(given_detail) == kept


@given(st.text())
def test_a_text_becomes_one_that_the_database_takes(text: str) -> None:
    cleaned = clean_text(text + "\0\ud800" + text)
    assert "\0" not in cleaned
    assert len(cleaned.encode()) >= 0
    assert len(cleaned) <= LONGEST_TEXT
    assert clean_text(cleaned) == cleaned
