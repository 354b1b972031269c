"""Numbers of a problem that is handed in: which can be reckoned with. Pure.

Prices, rates and counts may span 21 orders of magnitude; beyond, floats and a solver's tolerances say nothing any more.
Asked where a problem is read or posed, not of problems that are made of it: those may ask for a little less.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal

LEAST = 1e-9
MOST = 1e12

_ANY_SIZE = frozenset(("gap",))
"""How far a search goes is no quantity: nothing is multiplied by it."""


def beyond_reach(value: object) -> Iterator[str]:
    """For each number, in a value and all that it holds, that is neither 0 nor from `LEAST` to `MOST`: where it is, and what."""
    if isinstance(value, int | float | Decimal) and value and not LEAST <= abs(Decimal(value)) <= MOST:
        yield f": {Decimal(value):.3g} is beyond what can be reckoned with: 0, or from {LEAST:g} to {MOST:g}"
    if isinstance(value, Mapping):
        yield from (f"[{name}]{fault}" for name, part in value.items() for fault in beyond_reach(part))
    if isinstance(value, tuple):
        yield from (f"[{i}]{fault}" for i, part in enumerate(value) for fault in beyond_reach(part))
    if is_dataclass(value):
        names = (one.name for one in fields(value) if one.name not in _ANY_SIZE)
        yield from (f".{name}{fault}" for name in names for fault in beyond_reach(getattr(value, name)))
