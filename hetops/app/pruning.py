"""What a question leaves out before the search: configurations, then columns. Wires; decides nothing."""

from __future__ import annotations

from collections import Counter

from hetops.app.pose import Posed
from hetops.domain.configuration import Configuration
from hetops.domain.pruning import LeftOut, Pruning, WhyLeftOut
from hetops.solver.pruned import pruning_of


def pruned(posed: Posed) -> tuple[Pruning, ...]:
    """How many configurations and columns the search begins with, and why with no more."""
    return (_configurations(posed), pruning_of(posed.problem))


def _configurations(posed: Posed) -> Pruning:
    ids = {name: one.id for name, one in posed.configurations.items()}
    kept = set(ids.values())
    laid = {ids.get(column.configuration) for column in posed.problem.columns}
    able = {key[0] for key, row in posed.table.rows.items() if row.planned_requests_per_second > 0}
    all_of_them = posed.candidates.enumeration.configurations

    def reason(one: Configuration) -> WhyLeftOut | None:
        if one.id in kept:
            return None if one.id in laid else WhyLeftOut.NOWHERE
        if one.id not in able:
            return WhyLeftOut.TOO_SLOW
        return WhyLeftOut.REPLACED if one.stages else WhyLeftOut.BEATEN_ON_GPU

    left = Counter(reason(one) for one in all_of_them)
    return Pruning(
        of="configuration",
        count=len(all_of_them),
        left_out=tuple(LeftOut(why=why, count=left[why]) for why in WhyLeftOut if left[why]),
    )
