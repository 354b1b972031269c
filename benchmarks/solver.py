"""Prints the solver's figures: `python benchmarks/solver.py --grid paper|mixed|sizes|replay|risk|levers|catalogue|hard|all`.

Every figure of docs/solver-figures.md comes out of here. Times are CPU seconds of one thread; nothing is asserted.
`--every N` takes each N-th cell of the paper grid, which on its own takes some twenty minutes with all rivals.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import (
    solver_catalogue,
    solver_hard,
    solver_mixed,
    solver_paper,
    solver_replay,
    solver_risk,
    solver_sizes,
)
from benchmarks.solver_cells import PAPER_GRID

Figures = Callable[[], Iterator[str]]


def main() -> None:
    """One grid, or all of them, line by line as they come."""
    parser = argparse.ArgumentParser(description="Prints the solver's figures.")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="each N-th cell of the paper grid")
    grids: dict[str, Figures] = {
        "hard": solver_hard.figures,
        "catalogue": solver_catalogue.figures,
        "sizes": solver_sizes.figures,
        "replay": solver_replay.figures,
        "risk": solver_risk.figures,
        "levers": solver_paper.levers,
        "mixed": lambda: solver_mixed.figures(solver_mixed.CELLS[:: asked.every]),
        "paper": lambda: solver_paper.grid(PAPER_GRID[:: asked.every]),
    }
    parser.add_argument("--grid", choices=(*grids, "all"), default="all")
    asked = parser.parse_args()
    for name in grids if asked.grid == "all" else (asked.grid,):
        for line in grids[name]():
            print(line, flush=True)


if __name__ == "__main__":
    main()
