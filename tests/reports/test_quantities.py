"""Quantities round for reading: close enough to compare, never so far that two prices look alike."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetops.reports import quantities as q


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (Decimal("6877.2"), "$6,877.20"),
        (Decimal("0.1"), "$0.10"),
        (Decimal("0.0335"), "$0.0335"),
        (0.0012, "$0.0012"),
        (0.00001, "$0.000010"),
        (Decimal("0.0000023"), "$0.0000023"),
        (0, "$0.00"),
        (-0.05, "$-0.0500"),
        (-3.5, "$-3.50"),
    ],
)
def test_money(amount: Decimal | float, text: str) -> None:
    assert q.usd(amount) == text


def test_an_hour_and_a_month_of_730_hours() -> None:
    assert q.usd_both(Decimal("9.42")) == "$9.42 /h · $6,877 /month"
    assert q.usd_both(Decimal("0.000001")) == "$0.0000010 /h · $0.00073 /month"
    assert q.usd_both(Decimal(0)) == "$0.00 /h · $0 /month"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0 ms"),
        (0.0221, "22.1 ms"),
        (0.0999, "99.9 ms"),
        (0.1, "0.10 s"),
        (99.99, "99.99 s"),
        (100.0, "100 s"),
        (12345.6, "12,346 s"),
        (None, "-"),
        (float("nan"), "-"),
        (float("inf"), "never"),
    ],
)
def test_seconds(value: float | None, text: str) -> None:
    assert q.seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(3.2, "3.2 /s"), (0.0123, "0.0123 /s"), (999.4, "999 /s"), (999.9, "1,000 /s"), (1234.5, "1,234 /s")],
)
def test_rates(value: float, text: str) -> None:
    assert q.rate(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 %"), (0.0001, "0.0 %"), (0.0994, "9.9 %"), (0.0995, "10 %"), (0.333, "33 %"), (1, "100 %")],
)
def test_shares(value: float, text: str) -> None:
    assert q.share(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.22, "+22 %"), (-0.015, "-1.5 %"), (0.0, "+0.0 %"), (2.5, "+250 %")]
)
def test_changes(value: float, text: str) -> None:
    assert q.change(value) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (350, "350"),
        (999, "999"),
        (1000, "1k"),
        (1234, "1.23k"),
        (128_000, "128k"),
        (999.9, "1k"),
        (999_900, "1M"),
        (1_500_000, "1.5M"),
    ],
)
def test_tokens(count: float, text: str) -> None:
    assert q.tokens(count) == text


def test_counted_nouns() -> None:
    assert [q.many(n, "pool") for n in (0, 1, 2, 1500)] == ["0 pools", "1 pool", "2 pools", "1,500 pools"]
    assert q.many(2, "class") == "2 classes"


words = st.text(st.characters(categories=["L", "N"]), max_size=8)


@settings(deadline=None)
@given(st.lists(st.tuples(words, words, words), max_size=6))
def test_columns_of_a_table_stand_below_one_another(rows: list[tuple[str, str, str]]) -> None:
    lines = q.table(("one", "two", "three"), rows, right=(1,)).split("\n")
    first = max(3, *(len(row[0]) for row in rows), 0)
    second = max(3, *(len(row[1]) for row in rows), 0)
    for line, row in zip(lines[1:], rows, strict=True):
        assert line == line.rstrip()
        padded = line.ljust(first + second + 4)
        assert padded[:first].rstrip() == row[0].rstrip()
        assert padded[first + 2 : first + 2 + second] == row[1].rjust(second)


def test_a_table_of_nothing_is_its_header() -> None:
    assert q.table(("one", "two"), []) == "ONE  TWO"


def test_an_indented_table_has_blanks_left_of_every_row() -> None:
    assert q.table(("one", "two"), [("a", "b")], indent=2) == "  ONE  TWO\n  a    b"


def test_a_sparkline_runs_from_the_lower_to_the_upper_end_of_its_scale() -> None:
    scale = (Decimal(0), Decimal(7))
    assert q.sparkline([Decimal(0), Decimal(7), None, Decimal(3)], scale) == "▁█ ▄"
    assert q.sparkline([Decimal(2)] * 3, (Decimal(2), Decimal(2))) == "▁▁▁", "a price that stands still"
    assert q.sparkline([], scale) == ""


def test_a_long_sparkline_shows_the_last_of_each_share() -> None:
    values = [Decimal(i % 4) for i in range(80)]
    assert q.sparkline(values, (Decimal(0), Decimal(3)), widest=20) == "█" * 20
