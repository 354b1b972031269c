"""Packing: which slices lie on which GPU of a plan, so that whoever cuts the GPUs knows how. Pure; chooses no fleet."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from hetops.domain.plan import PlannedPool


def cut_gpus(pools: Iterable[PlannedPool]) -> tuple[tuple[str, ...], ...]:
    """The GPUs of one offer that are cut, each as the pools that have a slice of it, the largest slice first.

    Halves, then thirds, then what is smaller, each on the first GPU that has room: parts that fill nodes together
    (`domain/parts.py`) so take as few GPUs as they add up to. NVIDIA wants the largest cut first too.
    """
    slices = [
        (Fraction(1, mig.parts), pool.name)
        for pool in pools
        if (mig := pool.configuration.mig)
        for _ in range(pool.nodes)
    ]
    free: list[Fraction] = []
    names: list[list[str]] = []
    for size, name in sorted(slices, key=lambda one: -one[0]):
        at = next((i for i, left in enumerate(free) if left >= size), len(free))
        if at == len(free):
            free.append(Fraction(1))
            names.append([])
        free[at] -= size
        names[at].append(name)
    return tuple(tuple(one) for one in names)
