"""The best fleet of one GPU type: what the ICML 2025 paper and Mélange hold themselves against.

Decides the type, and nodes and shares within it exactly. Capped keeps the problem's stock and quotas; uncapped is the
paper's generous version, which rents as many GPUs of the type as the budget pays for: a fleet that nobody could get.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from hetops.solver.baselines.answer import restated
from hetops.solver.problem import Mode, Problem
from hetops.solver.solution import Infeasible, Solution
from hetops.solver.solve import solve


def homogeneous(problem: Problem) -> Solution | Infeasible:
    """The best of all fleets of one GPU type within the limits. A type that cannot serve every class is none."""
    return best(restated(problem, solve(one), "one GPU type") for one in _by_type(problem))


def uncapped_homogeneous(problem: Problem) -> Solution | Infeasible:
    """The best of all fleets of one GPU type with stock and quotas lifted: an answer to `uncapped(problem)`."""
    return homogeneous(uncapped(problem))


def uncapped(problem: Problem) -> Problem:
    """The problem without quotas, and with as many nodes of each offer as the demand or the budget could ever use."""
    return replace(
        problem,
        offers=tuple(replace(o, max_nodes=_of_use(problem, o.id), quota_per_node={}) for o in problem.offers),
        quota_groups=(),
    )


def _of_use(problem: Problem, offer: str) -> int:
    """Nodes of an offer beyond which more are of no use: all that a budget pays for, or that serve every class alone."""
    if problem.budget_usd_per_hour is not None:
        return int(problem.budget_usd_per_hour // problem.offer(offer).usd_per_hour)
    rates = [column for column in problem.columns if column.offer == offer]
    needed = (
        c.requests_per_second / min(column.rate(c.name) for column in rates if column.rate(c.name) > 0)
        for c in problem.classes
        if any(column.rate(c.name) > 0 for column in rates)
    )
    return math.ceil(math.fsum(needed) / float(problem.usable_share)) + 1


def _by_type(problem: Problem) -> Iterable[Problem]:
    gpu_of = {offer.id: offer.gpu for offer in problem.offers}
    for gpu in dict.fromkeys(gpu_of.values()):
        columns = tuple(c for c in problem.columns if {gpu_of[offer] for offer in c.offers} == {gpu})
        if columns:
            yield replace(problem, columns=columns)


def best(answers: Iterable[Solution | Infeasible]) -> Solution | Infeasible:
    """The cheapest or, when maximising, the fastest of answers; the first of equals."""
    found = [answer for answer in answers if isinstance(answer, Solution)]
    if not found:
        return Infeasible()
    sign = 1 if found[0].mode is Mode.MIN_COST else -1
    return min(found, key=lambda s: (sign * s.objective, s.usd_per_hour))
