"""What hedging costs and what it saves: fleets on spot and on demand in three zones, and what is left when one goes.

Prices are those of `solver_sizes` on demand; spot at 40 % of them and a stock of eight GPUs a zone and market are MADE UP.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from decimal import Decimal
from functools import partial

from benchmarks.solver_catalogue import catalogue_problem
from benchmarks.solver_sizes import SizeCell, size_problem
from hetops.domain.percent import percent, signed_percent
from hetops.solver.answers.balance import balance
from hetops.solver.baselines.homogeneous import homogeneous
from hetops.solver.baselines.spot_hedge import SPOT, spot_hedge
from hetops.solver.problem import Problem
from hetops.solver.solution import Infeasible, Solution
from hetops.solver.solve import solve
from hetops.solver.terms import Loss, Trait

ZONES = ("a", "b", "c")
MARKETS = {SPOT: Decimal("0.4"), "on_demand": Decimal(1)}
STOCK = 8


def risk_problem(requests_per_second: int = 16) -> Problem:
    """The chat mix within 120 ms a token, every GPU type in each zone and market."""
    cell = SizeCell(mix="chat", requests_per_second=requests_per_second, tpot_seconds=0.12)
    plain = size_problem(cell, ttft_seconds=2.0, gap=1e-3)
    places = [(zone, market) for zone in ZONES for market in MARKETS]
    return replace(
        plain,
        offers=tuple(
            replace(
                offer,
                id=f"{offer.gpu} {zone} {market}",
                usd_per_hour=offer.usd_per_hour * MARKETS[market],
                max_nodes=STOCK,
                zone=zone,
                market=market,
            )
            for offer in plain.offers
            for zone, market in places
        ),
        columns=tuple(
            replace(column, offer=f"{column.offer} {zone} {market}")
            for column in plain.columns
            for zone, market in places
        ),
    )


def served_share(problem: Problem, solution: Solution, lost: Collection[str]) -> float:
    """The part of every class's demand that is still served within the targets when the offers `lost` are gone."""
    left = {key: count for key, count in solution.nodes.items() if key[0] not in lost}
    able = Counter(
        name for c in problem.columns if c.key in left for name, r in c.requests_per_second.items() if r > 0
    )
    if any(c.requests_per_second > 0 and not able[c.name] for c in problem.classes):
        return 0.0
    return min(1.0, 1.0 / balance(problem, left).fullest)


def figures() -> Iterator[str]:
    """Cost, and the least share of the demand that is served after the loss of any zone, and of any zone's spot nodes."""
    problem = risk_problem()
    yield f"{'three zones, chat at 16/s':<36}{'USD/h':>9}{'a zone lost':>14}{'its spot lost':>15}"
    for name, answer in _answers():
        found = answer(problem)
        if isinstance(found, Solution):
            zone, spot = _least_served(problem, found, MARKETS), _least_served(problem, found, (SPOT,))
            yield f"{name:<36}{found.usd_per_hour:9.3f}{percent(zone, 1):>14}{percent(spot, 1):>15}"
        else:
            yield f"{name:<36} no fleet"
    yield from _any_offer_lost()


def _any_offer_lost() -> Iterator[str]:
    """Any single offer of a catalogue lost: how dear that is, and how long it takes."""
    for offers, rate, kept_share, gap in ((131, 20, 0.8, 1e-3), (131, 20, 1.0, 1e-3), (300, 20, 0.8, 1e-2)):
        problem = replace(catalogue_problem(offers=offers, requests_per_second=rate).problem, gap=gap)
        whole, began = solve(problem), time.process_time()
        loss = Loss(id="any offer", trait=Trait.OFFER, kept_share=kept_share)
        found = solve(replace(problem, losses=(loss,)))
        seconds = time.process_time() - began
        if isinstance(found, Solution) and isinstance(whole, Solution):
            dearer = float(found.usd_per_hour / whole.usd_per_hour) - 1
            yield (
                f"any of {offers} offers lost, {percent(kept_share)} served, {rate}/s: {seconds:.2f} CPU s"
                f" (gap {found.gap:.1e}), {signed_percent(dearer, 1)}"
            )


def _least_served(problem: Problem, found: Solution, markets: Collection[str]) -> float:
    """Over the zones, when all their offers on these markets are gone."""
    lost = ({o.id for o in problem.offers if o.zone == zone and o.market in markets} for zone in ZONES)
    return min(served_share(problem, found, offers) for offers in lost)


def _answers() -> Iterator[tuple[str, Callable[[Problem], Solution | Infeasible]]]:
    yield "hetops, cheapest", solve
    for share in (0.5, 0.8, 1.0):
        yield f"hetops, any zone lost, {percent(share)} served", partial(_hedged, kept_share=share)
    for extra in (0, 1, 2):
        yield f"spot hedge, {extra} too many", partial(spot_hedge, extra=extra)
    yield "one GPU type", homogeneous


def _hedged(problem: Problem, kept_share: float) -> Solution | Infeasible:
    return solve(replace(problem, losses=(Loss(id="any zone", trait=Trait.ZONE, kept_share=kept_share),)))
