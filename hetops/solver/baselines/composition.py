"""Fixed compositions: how many GPUs of each type there are, decided before anything is known of the workload.

Rivals that take the cluster as given get one of two: the budget split evenly over the GPU types, or what a fleet of
ours rents. Either is a `Problem` with one quota more a type; nothing else of it changes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal

from hetops.solver.baselines.blind import blocks
from hetops.solver.problem import Problem, QuotaGroup
from hetops.solver.solution import Solution


def evenly_split(problem: Problem) -> Problem:
    """No GPU type may take more than its even part of the budget; what a type leaves of its part is not spent.

    As many types get a part as can rent a replica with it: as long as some cannot, the one whose cheapest replica is
    dearest goes.

    Raises:
        ValueError: the problem has no budget.
    """
    if problem.budget_usd_per_hour is None:
        raise ValueError("budget_usd_per_hour: a budget is needed to be split")
    cheapest = _cheapest_replicas(problem)
    kept = sorted(cheapest, key=lambda gpu: cheapest[gpu])
    while len(kept) > 1 and cheapest[kept[-1]] > problem.budget_usd_per_hour / len(kept):
        kept.pop()
    part = problem.budget_usd_per_hour / max(len(kept), 1)
    return _composed(
        problem,
        taken={offer.id: offer.usd_per_hour for offer in problem.offers},
        limits={gpu: part * (gpu in kept) for gpu in _gpus(problem)},
    )


def _cheapest_replicas(problem: Problem) -> dict[str, Decimal]:
    """What the cheapest node of each GPU type costs; of the model that needs the dearest, where there are several."""
    offers = {offer.id: offer for offer in problem.offers}
    alone = {column.key for column in problem.columns if not column.also}
    found: dict[str, Decimal] = {}
    for block in blocks(problem):
        of_block: dict[str, Decimal] = {}
        for offer in (offers[key[0]] for key in block.speeds if key in alone):
            of_block[offer.gpu] = min(of_block.get(offer.gpu, offer.usd_per_hour), offer.usd_per_hour)
        found = {gpu: max(usd, found.get(gpu, usd)) for gpu, usd in (found | of_block).items()}
    return found


def as_rented(problem: Problem, solution: Solution) -> Problem:
    """Each GPU type may take as many GPUs as the solution rents of it, cut into nodes in any way on offer."""
    rented: Counter[str] = Counter()
    offers = {offer.id: offer for offer in problem.offers}
    for pool in solution.pools:
        for offer, nodes in pool.rented.items():
            rented[offers[offer].gpu] += nodes * offers[offer].gpu_count
    return _composed(
        problem,
        taken={offer.id: Decimal(offer.gpu_count) for offer in problem.offers},
        limits={gpu: Decimal(rented[gpu]) for gpu in _gpus(problem)},
    )


def _composed(problem: Problem, *, taken: dict[str, Decimal], limits: dict[str, Decimal]) -> Problem:
    groups = tuple(QuotaGroup(id=f"all {gpu}", limit=limit) for gpu, limit in limits.items())
    offers = tuple(
        replace(o, quota_per_node={**o.quota_per_node, f"all {o.gpu}": taken[o.id]}) for o in problem.offers
    )
    return replace(problem, offers=offers, quota_groups=(*problem.quota_groups, *groups))


def _gpus(problem: Problem) -> tuple[str, ...]:
    return tuple(dict.fromkeys(offer.gpu for offer in problem.offers))
