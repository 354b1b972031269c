"""All rivals by name, and what each can be asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from hetops.solver.baselines.bilinear import binary_search
from hetops.solver.baselines.greedy import greedy, greedy_many_starts
from hetops.solver.baselines.helix import helix, helix_on_ours
from hetops.solver.baselines.hexgen import hexgen, hexgen_on_ours
from hetops.solver.baselines.homogeneous import homogeneous
from hetops.solver.baselines.melange import Slicing, every_column, melange
from hetops.solver.problem import Mode, Problem
from hetops.solver.solution import Infeasible, Solution

_BOTH = frozenset(Mode)
_THROUGHPUT = frozenset({Mode.MAX_THROUGHPUT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """Somebody else's way to answer a problem; its fleets stay within the problem's limits."""

    name: str
    answer: Callable[[Problem], Solution | Infeasible]
    modes: frozenset[Mode] = _BOTH
    """What it can be asked; rivals that take the GPUs as given need a budget to be given some."""


RIVALS = (
    Rival(name="one GPU type", answer=homogeneous),
    Rival(name="melange, 1 slice", answer=partial(melange, slicing=Slicing(slices=1))),
    Rival(name="melange, 4 slices", answer=melange),
    Rival(name="melange, 4 slices, every layout", answer=every_column),
    Rival(name="hexgen, even split", answer=hexgen, modes=_THROUGHPUT),
    Rival(name="hexgen, our GPUs", answer=hexgen_on_ours, modes=_THROUGHPUT),
    Rival(name="helix, even split", answer=helix, modes=_THROUGHPUT),
    Rival(name="helix, our GPUs", answer=helix_on_ours, modes=_THROUGHPUT),
    Rival(name="binary search", answer=binary_search, modes=_THROUGHPUT),
    Rival(name="greedy", answer=greedy),
    Rival(name="greedy, many starts", answer=greedy_many_starts),
)
"""In the order of the tables. The uncapped homogeneous fleet is no rival: nobody could rent it."""
