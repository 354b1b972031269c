"""Tables and lines fold to the reader's page: nothing is lost, numbers stay in one piece, a pipe gets one line a row."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetops.reports import page
from hetops.reports import quantities as q

HEADERS = ("pool", "nodes", "offer", "ttft")
ROWS = (
    ("h200-sxm-tp1-fp8-143c", "1", "local runpod/NVIDIA H200 any on_demand", "p90 0.29 s (0.10 s to 0.82 s)"),
    ("l4-tp1-int8-009d", "12", "aws/us-east-1/g6.xlarge/spot", "p90 1.65 s (0.34 s to 3.89 s)"),
)


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    token = page.WIDTH.set(None)
    yield
    page.WIDTH.reset(token)


def table(width: int | None) -> list[str]:
    page.WIDTH.set(width)
    return q.table(HEADERS, ROWS, right=(1,)).splitlines()


def test_a_file_has_one_line_a_row_and_so_has_a_page_with_room() -> None:
    assert len(table(None)) == 3
    assert table(200) == table(None)


@pytest.mark.parametrize("width", [110, 90, 80, 70, 60, 50])
def test_a_table_fits_the_page_and_loses_nothing(width: int) -> None:
    lines = table(width)
    assert max(map(len, lines)) <= width
    shown = "".join("".join(lines).split())
    assert all(
        shown.count(character) == "".join(table(None)).count(character) for character in "0123456789()/"
    )


def test_names_stay_whole_while_anything_else_can_fold_and_numbers_keep_their_units() -> None:
    wide = "\n".join(table(90))
    assert "h200-sxm-tp1-fp8-143c" in wide
    assert "aws/us-east-1/g6.xlarge/spot" in wide
    narrow = table(50)
    assert all("0.29" not in line or "0.29 s" in line for line in narrow)
    assert not any(line.rstrip().endswith(" /") for line in narrow)


def test_a_date_stays_whole() -> None:
    page.WIDTH.set(24)
    assert "2026-09-25," in q.table(("a", "b"), (("some-long-name-here", "list 2026-09-25, emulated"),))


def test_what_has_no_end_that_would_do_is_cut_where_its_column_ends() -> None:
    page.WIDTH.set(40)
    shown = q.table(("a", "b"), (("x" * 60, "two words"),)).splitlines()
    assert shown == ["A" + " " * 33 + "B", "x" * 32 + "  two", "x" * 28 + " " * 6 + "words"]


def test_a_page_too_narrow_for_columns_that_stay_whole_gets_the_table_as_it_is() -> None:
    page.WIDTH.set(10)
    assert (
        q.table(("a", "b"), (("x" * 60, "two words"),), right=(0,)).splitlines()[1]
        == "x" * 60 + "  two words"
    )


def test_an_indented_table_fits_the_page_with_its_blanks() -> None:
    page.WIDTH.set(20)
    shown = q.table(("a", "b"), (("one two three", "four five"),), indent=4).splitlines()
    assert max(map(len, shown)) <= 20
    assert all(line.startswith("    ") for line in shown)


def test_headers_of_numbers_fold_at_spaces() -> None:
    page.WIDTH.set(20)
    shown = q.table(("a", "nodes as it is"), (("ten-tokens", "1"),), right=(1,)).splitlines()
    assert shown == ["A           NODES AS", "               IT IS", "ten-tokens         1"]


def test_pools_that_prefill_and_decode_fit_eighty_characters() -> None:
    page.WIDTH.set(80)
    headers = ("pool", "nodes", "offer", "replicas", "configuration", "$/hour", "requests", "sustains (80 %)")
    offer, what = "aws p5.48xlarge us-east-1 on_demand", "vllm tp1 pp4 int8 256 sequences, prefill alone"
    row = ("h100-sxm-tp1pp4-int8-prefill-5eb3", "1", offer, "2 x 4 H100-SXM", what, "$55.04", "84 %")
    shown = q.table(headers, ((*row, "8.98 /s (6.37 /s to 12.7 /s)"),), right=(1, 5, 6)).splitlines()
    assert max(map(len, shown)) <= 80


def test_a_long_line_goes_on_below_its_first_word() -> None:
    page.WIDTH.set(40)
    text = "      6  L40S: does not fit into the memory that there is\nshort\n"
    assert page.folded(text) == "      6  L40S: does not fit into the\n         memory that there is\nshort\n"


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.text("ab /-,.9", max_size=30), min_size=3, max_size=3), min_size=1, max_size=4),
    st.integers(10, 60),
)
def test_whatever_stands_in_cells_is_all_shown(rows: list[list[str]], width: int) -> None:
    page.WIDTH.set(width)
    shown = "".join(q.table(("", "", ""), rows).split())
    assert sorted(shown) == sorted("".join("".join(cell.split()) for row in rows for cell in row))


def test_a_pool_of_two_models_fits_eighty_characters() -> None:
    page.WIDTH.set(80)
    headers = ("pool", "nodes", "offer", "replicas", "configuration", "$/hour", "requests", "sustains (80 %)")
    offer, what = "aws g6e.12xlarge us-east-1 on_demand", "qwen3-32b vllm tp1 pp2 fp8 256 sequences"
    row = (
        "l40s-tp1pp2-fp8-957b",
        "1/2",
        offer,
        "1 x 2 L40S",
        what,
        "$5.25",
        "11 %",
        "1.84 /s (1.4 /s to 2.42 /s)",
    )
    assert max(map(len, q.table(headers, [row], right=(1, 5, 6)).splitlines())) <= 80
