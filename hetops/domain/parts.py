"""Parts of nodes: which of them fill nodes together without waste, however many there are of each. Pure.

Sizes of which each divides the next pack like coins: sorted by size, one after the other, nothing is wasted but at the end.
Halves and thirds of one thing do so too. With an odd number of halves one thing has a half and a third, and lacks a sixth;
but 3 h + 2 t sixths with odd h are an odd number, so where they add up to whole things a sixth is free or filled. Whatever is
smaller must divide that sixth.
"""

from __future__ import annotations

from collections.abc import Iterable


def misfit(parts: Iterable[int]) -> tuple[int, int] | None:
    """The first two counts of parts per node of which it is not proven that they fill nodes together; None where any number of
    all of them takes no more nodes than they add up to.

    Each must be a multiple of the one before, but that 2 n and 3 n may stand side by side, where what comes before divides n and
    what comes after is a multiple of 6 n.
    """
    before, whole, last = 1, 1, 1
    for many in sorted(set(parts)):
        if many % whole == 0:
            before, whole = whole, many
        elif 2 * many == 3 * whole and (whole // 2) % before == 0:
            before, whole = whole, 2 * many
        else:
            return many, last
        last = many
    return None
