from __future__ import annotations

import pytest

from clustercore.jobs.domain.result_files import BadResultFile, check_name


@pytest.mark.parametrize("name", ["page.png", "Seite 1 (ä).png", "no ending", ".hidden"])
def test_a_plain_name_is_taken(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "a\x00b", "x" * 201])
def test_a_name_that_is_no_single_part_of_an_address_is_refused(name: str) -> None:
    with pytest.raises(BadResultFile, match="use a plain one"):
        check_name(name)
