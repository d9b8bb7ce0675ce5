"""The grid of pieces."""

from __future__ import annotations

from dataclasses import replace

from clustercore.jobs.domain.pieces import PIECES_PER_CHUNK, chunks_of
from clustercore.jobs.domain.progress import UnitProgress

QUEUED = UnitProgress(
    id=1,
    stage="transcribe",
    ordinal=0,
    state="queued",
    progress=0.0,
    attempts=0,
    node="",
    served_by="",
    rung=None,
    seconds=None,
    note="",
)
DONE = replace(
    QUEUED,
    state="done",
    progress=1.0,
    attempts=2,
    node="pi",
    served_by="vosk:en",
    seconds=3.0,
    audio_seconds=30.0,
    note="slow",
)


def test_a_job_without_pieces_has_no_chunks() -> None:
    assert chunks_of(7, [], {}) == []


def test_a_thousand_pieces_are_cut_into_chunks_in_order() -> None:
    units = [replace(QUEUED, id=number, ordinal=number) for number in range(1001)]
    chunks = chunks_of(7, units, {})
    assert [chunk.number for chunk in chunks] == list(range(21))
    assert len(chunks[0].pieces) == PIECES_PER_CHUNK
    assert [piece.unit.ordinal for chunk in chunks for piece in chunk.pieces] == list(range(1001))


def test_a_change_of_one_piece_changes_one_chunk() -> None:
    units = [replace(QUEUED, id=number, ordinal=number) for number in range(120)]
    before = chunks_of(7, units, {})
    after = chunks_of(7, [*units[:60], replace(units[60], state="leased", node="pi"), *units[61:]], {"pi": 3})
    assert [old == new for old, new in zip(before, after, strict=True)] == [True, False, True]


def test_a_piece_has_its_nodes_colour_and_says_all_about_itself() -> None:
    [chunk] = chunks_of(7, [DONE], {"pi": 3})
    [piece] = chunk.pieces
    assert piece.colour == "3"
    assert piece.label == "Transcribe 1: done, on pi, by vosk:en, in 3.0 s (10x real time), attempt 2"


def test_a_piece_that_nobody_touched_or_whose_node_is_gone_has_no_colour() -> None:
    [chunk] = chunks_of(7, [QUEUED, replace(DONE, node="gone")], {"pi": 3})
    assert [piece.colour for piece in chunk.pieces] == ["none", "none"]


def test_a_failed_piece_says_why() -> None:
    [chunk] = chunks_of(7, [replace(DONE, state="failed", note="no memory")], {})
    assert "no memory" in chunk.pieces[0].label


def test_progress_is_shown_in_quarters_so_that_little_is_redrawn() -> None:
    units = [replace(QUEUED, state="leased", progress=progress) for progress in (0.0, 0.24, 0.25, 0.99)]
    [chunk] = chunks_of(7, units, {})
    assert [piece.quarters for piece in chunk.pieces] == [0, 0, 1, 3]
