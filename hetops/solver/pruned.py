"""How many columns a search begins with, and why it is spared the others. Tells what was done; leaves nothing out itself."""

from __future__ import annotations

from hetops.domain.pruning import LeftOut, Pruning, WhyLeftOut
from hetops.solver.bands import Bands
from hetops.solver.problem import Problem
from hetops.solver.prune import asked_for
from hetops.solver.useful import useful


def pruning_of(problem: Problem) -> Pruning:
    """The columns of a problem as its search sees them at first; bands that turn out too coarse bring some back later."""
    seen = Bands.of(problem).searched
    found = useful(seen, None)
    asked = len(asked_for(seen, found.able, found.classes))
    left = (
        (WhyLeftOut.WAITING, len(problem.columns) - len(seen.columns)),
        (WhyLeftOut.IDLE, len(seen.columns) - asked),
        (WhyLeftOut.BEATEN_ON_OFFER, asked - len(found.rivals)),
        (WhyLeftOut.NO_ROOM, len(found.rivals) - len(found.columns)),
    )
    return Pruning(
        of="column",
        count=len(problem.columns),
        left_out=tuple(LeftOut(why=why, count=count) for why, count in left if count),
    )
