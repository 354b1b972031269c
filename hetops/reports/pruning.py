"""What was left out before a search, a line for each kind: how many, and why. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hetops.domain.pruning import Pruning
from hetops.reports import quantities as q


def lines(prunings: Iterable[Pruning]) -> Iterator[str]:
    """`Of 79 configurations the search begins with 40; 28 within the targets of no class, 11 beaten ...`."""
    for one in prunings:
        begins = f"Of {q.many(one.count, one.of)}{_SAID.get(one.of, '')} the search begins with"
        why = ", ".join(f"{left.count:,} {left.why}" for left in one.left_out)
        yield f"{begins} {one.kept:,}; {why}" if why else f"{begins} all"


_SAID = {"column": " (each a configuration on an offer)"}
"""What a word means that the reader of a plan has not met."""
