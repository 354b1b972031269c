"""How quantities look in text: money, seconds, rates, shares, tables. Rounds for reading; JSON never passes here."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from fractions import Fraction

from hetops.domain.percent import percent, signed_percent
from hetops.domain.units import usd_per_month
from hetops.reports import page

_BARS = "▁▂▃▄▅▆▇█"
_MOST_NAMES = 3


def usd(amount: Decimal | float) -> str:
    """`$6,877.20`; small amounts keep four decimals, and two digits at the least."""
    value = float(amount)
    if abs(value) >= 0.1 or value == 0:
        return f"${value:,.2f}"
    digits = f"{value:.4f}" if abs(value) >= 0.001 else f"{Decimal(f'{value:.1e}'):f}"
    return f"${digits}"


def usd_both(usd_per_hour: Decimal) -> str:
    """`$9.42 /h · $6,877 /month`; a month is 730 hours."""
    month = usd_per_month(usd_per_hour)
    return f"{usd(usd_per_hour)} /h · {f'${month:,.0f}' if month >= 1 or not month else usd(month)} /month"


def names(of: Sequence[str]) -> str:
    """`a, b, c and 4 more`."""
    more = len(of) - _MOST_NAMES
    return ", ".join(of[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def seconds(value: float | None) -> str:
    """`0.41 s`, `22 ms`, `-` where there is none."""
    if value is None or math.isnan(value):
        return "-"
    if math.isinf(value):
        return "never"
    if value >= 100:
        return f"{value:,.0f} s"
    return f"{value:.2f} s" if value >= 0.1 else f"{value * 1000:.3g} ms"


def rate(per_second: float) -> str:
    """Requests or tokens a second with three digits: `3.2 /s`."""
    return f"{per_second:,.0f} /s" if per_second >= 999.5 else f"{per_second:.3g} /s"


def within(value: float, low: float | None, high: float | None, shown: Callable[[float], str]) -> str:
    """A number and its interval: `0.41 s (0.3 s to 0.52 s)`; the number alone where nothing tells how far it may be off."""
    if low is None or high is None:
        return shown(value)
    return f"{shown(value)} ({shown(low)} to {shown(high)})"


def share(value: float) -> str:
    """A share as per cent without decimals, one decimal below 10 %."""
    return percent(value, 0 if value >= 0.0995 or value == 0 else 1)


def change(value: float) -> str:
    """A relative change with its sign: `+22 %`, `-1.5 %`."""
    return signed_percent(value, 0 if abs(value) >= 0.0995 else 1)


def tokens(count: float) -> str:
    """`1.5M`, `1.2k`, `350`."""
    if count >= 999_500:
        return f"{count / 1e6:.3g}M"
    return f"{count / 1000:.3g}k" if count >= 999.5 else f"{count:.0f}"


def nodes(count: int | str, parts: int) -> str:
    """How many nodes a pool has; `3/8` are three eighths of a node."""
    return f"{count}" if parts == 1 else f"{count}/{parts}"


def part(nodes: Fraction) -> str:
    """Nodes that may be parts of one: `2`, `0.75`, `0.1667`."""
    return f"{float(nodes):.4g}" if nodes.denominator > 1 else str(nodes.numerator)


def many(count: int, noun: str) -> str:
    """`1 pool`, `3 pools`, `2 replicas`, `2 classes`."""
    if count == 1:
        return f"1 {noun}"
    return f"{count:,} {noun}es" if noun.endswith("s") else f"{count:,} {noun}s"


def sparkline(values: Sequence[Decimal | None], scale: tuple[Decimal, Decimal], *, widest: int = 40) -> str:
    """`▁▃█▅`, from the lower to the upper end of the scale; a blank where there is no value.

    Of more values than fit, each column shows the last of its share.
    """
    columns = min(len(values), widest)
    shown = [values[len(values) * (i + 1) // columns - 1] for i in range(columns)]
    low, high = scale
    span = float(high - low) or 1.0
    top = len(_BARS) - 1
    return "".join(" " if v is None else _BARS[round(float(v - low) / span * top)] for v in shown)


def table(
    headers: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = (), indent: int = 0
) -> str:
    """Columns two spaces apart, headers in capitals; columns of `right` are right-aligned. No trailing blanks.

    Other columns fold where the reader's page is too narrow (`page.WIDTH`); `indent` blanks stand left of all.
    """
    grid = [[h.upper() for h in headers], *[[str(cell) for cell in row] for row in rows]]
    folded = page.fitted(grid, right, indent)
    widths = [max(len(line) for row in folded for line in row[i]) for i in range(len(headers))]
    aligned = (
        (" " * page.GAP).join(
            cell.rjust(w) if i in right else cell.ljust(w)
            for i, (cell, w) in enumerate(zip(line, widths, strict=True))
        )
        for row in folded
        for line in itertools.zip_longest(*row, fillvalue="")
    )
    return "\n".join((" " * indent + line).rstrip() for line in aligned)


def served_on(model: str, gpu: str) -> str:
    """`red on L4`: the model of a pool, where there are several, and what it runs on."""
    return f"{model} on {gpu}" if model else gpu
