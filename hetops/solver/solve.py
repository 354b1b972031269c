"""A problem to a certified solution: search, tidy, spread, bound, check. Holds no constraint of its own.

1. search: the exact model of `formulate`, within the problem's gap or a smaller one;
2. tidy: among fleets of the same columns that cost no more, the one with fewest pools;
3. spread: shares that leave every pool as much room as can be (`balance`);
4. bound and check: weak duality and the independent checker of `certify`. A solution that fails is never returned.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np

from hetops.domain import codec
from hetops.errors import HetopsError
from hetops.solver import by_period, highs
from hetops.solver.balance import Balance, Key, balance
from hetops.solver.bands import search_in_bands, too_late
from hetops.solver.certify import TOLERANCE, ScarcityPrices, certify, relative_gap, weak_duality_bound
from hetops.solver.dual import dual_bound
from hetops.solver.formulate import SMALLEST_UNIT, Formulation, Limit, LimitKind, at_rate, formulate
from hetops.solver.highs import OnInterrupt
from hetops.solver.matrix import INFINITY, Row, with_row
from hetops.solver.merge import search_merged
from hetops.solver.overall import overall
from hetops.solver.problem import Mode, Problem
from hetops.solver.settle import settle
from hetops.solver.solution import Ended, Infeasible, Solution, SolvedPool, SolvedShare

DEFAULT_LIMIT_SECONDS = 30.0
"""Search time after which the best fleet so far is taken, its gap stated."""

TIDY_SECONDS = 1.0
"""Far more than tidying takes; reached, the fleet stays as the search left it."""

RATE_SLACK = 1e-7
"""Part of a maximal rate that tidying may give up; spreading wins it back. The solver's own tolerance."""


PROOF_GAP = 1e-6
"""What `hetops solve --prove` asks for: as close as the solver's own tolerances allow to tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How long and how hard to search."""

    limit_seconds: float = DEFAULT_LIMIT_SECONDS
    """Infinite searches until the gap is reached."""
    most_gap: float = INFINITY
    """The search stops at this gap or the problem's own, whichever is smaller."""
    on_interrupt: OnInterrupt = OnInterrupt.CANCEL


def solve(
    problem: Problem,
    *,
    limit_seconds: float = DEFAULT_LIMIT_SECONDS,
    effort: Effort | None = None,
    must_rent: Collection[str] = (),
) -> Solution | Infeasible:
    """The best fleet for `problem`, certified; `Infeasible` where its limits allow none.

    `effort` says more than `limit_seconds` can, and replaces it. Of the offers in `must_rent` the fleet has at least
    one node, whatever that costs: the bound is then the best that any such fleet can do.

    Raises:
        TimeoutExpiredError: no fleet was found in time, and none was ruled out.
        HetopsError: the solver failed, or its answer did not pass the checker.
        KeyboardInterrupt: Ctrl-C, and no fleet was found by then or none is to be taken.
    """
    effort = effort or Effort(limit_seconds=limit_seconds)

    def search_few(part: Problem, seconds: float) -> Solution | Infeasible:
        return _solve(part, replace(effort, limit_seconds=seconds), must_rent)

    def search(part: Problem, seconds: float) -> Solution | Infeasible:
        gap = min(problem.gap, effort.most_gap)
        return search_merged(part, search_few, scarcity_prices, limit_seconds=seconds, gap=gap)

    outcome = search_in_bands(problem, search, limit_seconds=effort.limit_seconds, apart=must_rent)
    if isinstance(outcome, Solution):
        _demand_sound(problem, outcome)
    return outcome


def _solve(problem: Problem, effort: Effort, must_rent: Collection[str]) -> Solution | Infeasible:
    """As `solve`, for offers that all go into one model; not checked yet."""
    digest = codec.digest(problem)
    unservable = unservable_classes(problem)
    formulation = _renting(formulate(problem), must_rent)
    if unservable or formulation is None:
        return Infeasible(problem_digest=digest, unservable=unservable)
    gap = min(problem.gap, effort.most_gap)
    limit_seconds = effort.limit_seconds
    answer = _searched(formulation, gap, effort, must_rent)
    if answer.status is highs.Status.NOTHING_FOUND:
        raise too_late(limit_seconds)
    if not answer.found or _serves_nothing(formulation, answer):
        return Infeasible(problem_digest=digest, solve_seconds=answer.seconds)
    asked = replace(problem, gap=gap)
    if problem.plain:
        nodes = _nodes(formulation, answer)
        return _solution(asked, digest, _found(problem, formulation, answer, nodes, must_rent))
    return read_answer(asked, digest, formulation, answer)


def _searched(
    formulation: Formulation, gap: float, effort: Effort, must_rent: Collection[str]
) -> highs.Answer:
    """Period by period where that can be; else as one model."""
    if not must_rent and by_period.separable(formulation):
        return by_period.search(
            formulation, gap=gap, limit_seconds=effort.limit_seconds, on_interrupt=effort.on_interrupt
        )
    return highs.run(
        formulation.model, gap=gap, limit_seconds=effort.limit_seconds, on_interrupt=effort.on_interrupt
    )


def _renting(formulation: Formulation, offers: Collection[str]) -> Formulation | None:
    """The formulation with at least one node of the offers; None where it has no place, or none of them."""
    if not formulation.frame.places:
        return None
    if not offers:
        return formulation
    frame = formulation.frame
    terms = [
        (frame.nodes(t, j), 1.0)
        for t in range(len(frame.stretches))
        for j, column in enumerate(formulation.columns)
        if column.offer in offers
    ]
    if not terms:
        return None
    row = Row(subject="rented whatever it costs", terms=terms, lower=1.0)
    return replace(formulation, model=with_row(formulation.model, row))


def unservable_classes(problem: Problem) -> tuple[str, ...]:
    """Classes with demand that no column can serve, whatever is spent."""
    able = {
        name for column in problem.columns for name, rate in column.requests_per_second.items() if rate > 0
    }
    able |= {name for service in problem.services for name in service.usd_per_request}
    asked = {name for stretch in problem.stretches for name, rate in stretch.rates.items() if rate > 0}
    return tuple(c.name for c in problem.classes if c.name in asked - able)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What the search left: nodes, shares, the rate served, and the bound, in the problem's units."""

    nodes: Mapping[Key, int]
    balance: Balance
    requests_per_second: float
    bound: float
    seconds: float
    ended: Ended


def _serves_nothing(formulation: Formulation, answer: highs.Answer) -> bool:
    scale = formulation.scale_index
    return scale is not None and bool(answer.values[scale] <= highs.FEASIBILITY_TOLERANCE)


def _nodes(formulation: Formulation, answer: highs.Answer) -> dict[Key, int]:
    """Nodes by column."""
    counts = {column.key: round(float(answer.values[j])) for j, column in enumerate(formulation.columns)}
    return {key: count for key, count in counts.items() if count > 0}


def _found(
    problem: Problem,
    formulation: Formulation,
    answer: highs.Answer,
    nodes: Mapping[Key, int],
    must_rent: Collection[str],
) -> _Found:
    """The search's answer made tidy. When maximising, the rate is what the fleet serves when its fullest pool is full."""
    bound = answer.bound * formulation.unit
    if formulation.scale_index is None:
        tidied = tidy(problem, nodes) if not must_rent else nodes
        spread, rate = balance(problem, tidied), problem.requests_per_second
    else:
        reached = float(answer.values[formulation.scale_index]) * formulation.unit
        served = at_rate(problem, reached * (1 - RATE_SLACK))
        tidied = tidy(served, nodes) if not must_rent else nodes
        spread = balance(served, tidied)
        rate, bound = served.requests_per_second / spread.fullest, -bound
    return _Found(
        nodes=tidied,
        balance=spread,
        requests_per_second=rate,
        bound=bound,
        seconds=answer.seconds,
        ended=_ENDED.get(answer.status, Ended.GAP),
    )


_ENDED = {highs.Status.TIME_LIMIT: Ended.TIME, highs.Status.INTERRUPTED: Ended.INTERRUPTED}


def tidy(problem: Problem, nodes: Mapping[Key, int]) -> dict[Key, int]:
    """Nodes that cost no more and make fewest pools, out of the columns in use; `nodes` where that takes too long."""
    used = tuple(column for column in problem.columns if column.key in nodes)
    spent = _cost(problem, nodes)
    # The model rounds every price up to a whole step; without the slack `nodes` itself could be over the budget.
    slack = SMALLEST_UNIT * sum(nodes.values())
    formulation = formulate(
        replace(problem, columns=used, budget_usd_per_hour=spent + slack),
        minimise=Limit(kind=LimitKind.POOLS),
    )
    answer = highs.run(formulation.model, limit_seconds=TIDY_SECONDS)
    tidied = _nodes(formulation, answer) if answer.status is highs.Status.OPTIMAL else {}
    return tidied if tidied and _cost(problem, tidied) <= spent else dict(nodes)


def _cost(problem: Problem, nodes: Mapping[Key, int]) -> Decimal:
    prices = {offer.id: offer.usd_per_hour for offer in problem.offers}
    return sum((prices[offer] * count for (offer, _), count in nodes.items()), Decimal(0))


def _solution(problem: Problem, digest: str, found: _Found) -> Solution:
    minimises = problem.mode is Mode.MIN_COST
    usd_per_hour = _cost(problem, found.nodes)
    objective = float(usd_per_hour) if minimises else found.requests_per_second
    certified = float(weak_duality_bound(problem, scarcity_prices(problem)))
    proven = _proven(problem, objective, found.bound, certified)
    unknown = {offer.id for offer in problem.offers if offer.max_nodes is None}
    return Solution(
        mode=problem.mode,
        problem_digest=digest,
        pools=_pools(problem, found),
        shares=_shares(problem, found),
        usd_per_hour=usd_per_hour,
        requests_per_second=found.requests_per_second,
        objective=objective,
        bound=proven.bound,
        certified_bound=certified,
        gap=proven.gap,
        within_gap=proven.within_gap,
        assumed_offers=tuple(sorted(unknown & {offer for offer, _ in found.nodes})),
        solver=highs.NAME,
        solve_seconds=found.seconds,
        ended=Ended.GAP if proven.within_gap else found.ended,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Proven:
    """How far from the best an objective can be at most."""

    bound: float
    gap: float
    within_gap: bool


def _proven(problem: Problem, objective: float, bound: float, certified: float) -> _Proven:
    """The better of both bounds. None is worse than what was reached: only rounding makes it seem so."""
    if problem.mode is Mode.MIN_COST:
        bound = min(max(bound, certified), objective)
    else:
        bound = max(min(bound, certified), objective)
    gap = relative_gap(objective, bound)
    return _Proven(bound=bound, gap=gap, within_gap=gap <= problem.gap + float(TOLERANCE))


def read_answer(problem: Problem, digest: str, formulation: Formulation, answer: highs.Answer) -> Solution:
    """The solution that an answer to the formulation means, with its bounds, not checked; for any terms."""
    minimises, sign = problem.mode is Mode.MIN_COST, 1.0 if problem.mode is Mode.MIN_COST else -1.0
    settled = settle(formulation, answer.values)
    whole = overall(problem, settled.periods)
    usd_per_hour = whole.usd_per_hour + settled.changes_usd_per_hour
    objective = float(usd_per_hour) if minimises else settled.requests_per_second
    certified = _certified(problem, formulation)
    proven = _proven(problem, objective, sign * answer.bound * formulation.unit, certified)
    unknown = {offer.id for offer in problem.offers if offer.max_nodes is None}
    rented = {p.offer for p in whole.pools} | {r.offer for r in whole.rentals}
    return Solution(
        mode=problem.mode,
        problem_digest=digest,
        pools=whole.pools,
        shares=whole.shares,
        usd_per_hour=usd_per_hour,
        requests_per_second=settled.requests_per_second,
        objective=objective,
        bound=proven.bound,
        certified_bound=certified,
        gap=proven.gap,
        within_gap=proven.within_gap,
        assumed_offers=tuple(sorted(unknown & rented)),
        solver=highs.NAME,
        solve_seconds=answer.seconds,
        ended=Ended.GAP if proven.within_gap else _ENDED.get(answer.status, Ended.GAP),
        rentals=whole.rentals,
        handovers=whole.handovers,
        periods=settled.periods if problem.periods else (),
        waits=settled.waits,
        losses=settled.losses,
        changes_usd_per_hour=settled.changes_usd_per_hour,
    )


def _certified(problem: Problem, formulation: Formulation) -> float:
    """Weak duality on the rows of the model, in rationals; where it proves nothing, the bound that holds for anything."""
    relaxed = replace(formulation.model, integer=np.zeros_like(formulation.model.integer))
    answer = highs.run(relaxed)
    bound = dual_bound(relaxed, answer.row_duals) if answer.found else None
    if problem.mode is Mode.MIN_COST:
        return max(float(bound) * formulation.unit, 0.0) if bound is not None else 0.0
    most = problem.requests_per_second * 1e12
    return min(-float(bound) * formulation.unit, most) if bound is not None else most


def _pools(problem: Problem, found: _Found) -> tuple[SolvedPool, ...]:
    prices = {offer.id: offer.usd_per_hour for offer in problem.offers}
    loads = _loads(problem, found)
    return tuple(
        SolvedPool(
            offer=column.offer,
            configuration=column.configuration,
            nodes=found.nodes[column.key],
            replicas_per_node=column.replicas_per_node,
            usd_per_hour=prices[column.offer] * found.nodes[column.key],
            utilisation=loads[column.key] / found.nodes[column.key],
        )
        for column in sorted(problem.columns, key=lambda c: c.key)
        if column.key in found.nodes
    )


def _loads(problem: Problem, found: _Found) -> dict[Key, float]:
    """Nodes' worth of work on each column."""
    columns = {column.key: column for column in problem.columns}
    rates = _rates(problem, found)
    parts: dict[Key, list[float]] = {key: [] for key in found.nodes}
    for (name, key), share in found.balance.shares.items():
        parts[key].append(share * rates[name] / columns[key].rate(name))
    return {key: math.fsum(loads) for key, loads in parts.items()}


def _shares(problem: Problem, found: _Found) -> tuple[SolvedShare, ...]:
    rates = _rates(problem, found)
    return tuple(
        SolvedShare(
            workload_class=name,
            offer=key[0],
            configuration=key[1],
            share=share,
            requests_per_second=share * rates[name],
        )
        for (name, key), share in sorted(found.balance.shares.items())
    )


def _rates(problem: Problem, found: _Found) -> dict[str, float]:
    factor = found.requests_per_second / problem.requests_per_second
    return {c.name: c.requests_per_second * factor for c in problem.classes}


def scarcity_prices(problem: Problem) -> ScarcityPrices:
    """What the linear relaxation says each limit is worth: good multipliers for `weak_duality_bound`, no explanation.

    As explanations they mislead: exact re-solves often say 0 where a dual does not.
    """
    formulation = formulate(problem)
    answer = highs.run(formulation.model.relaxation)
    if not answer.found:
        return ScarcityPrices()
    worth: dict[LimitKind, dict[str, float]] = {kind: {} for kind in LimitKind}
    for subject, dual in zip(formulation.model.subjects, answer.row_duals, strict=True):
        if isinstance(subject, Limit):
            worth[subject.kind][subject.subject] = max(-float(dual) * formulation.unit, 0.0)
    return ScarcityPrices(
        stock=worth[LimitKind.STOCK],
        quota=worth[LimitKind.QUOTA],
        provider_budget=worth[LimitKind.PROVIDER_BUDGET],
        budget=worth[LimitKind.BUDGET].get("", 0.0),
    )


def _demand_sound(problem: Problem, solution: Solution) -> None:
    violations = certify(problem, solution)
    if violations:
        raise HetopsError(
            f"{highs.NAME} answered with a fleet that breaks {violations[0].rule}",
            details=(f"{v.rule}: {v.subject}: {v.message}" for v in violations),
            hint="report this with the problem file (hetops plan --write-problem FILE)",
        )
