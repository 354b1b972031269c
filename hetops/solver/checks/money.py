"""Checks of what is paid: every amount, every sum, every budget."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from decimal import Decimal
from fractions import Fraction

from hetops.domain.percent import percent
from hetops.solver.checks.violation import TOLERANCE, Moment, Violation, close, moments, name_of
from hetops.solver.problem import Demand, Mode, Problem
from hetops.solver.solution import Solution, SolvedShed
from hetops.solver.terms import Billing, exact

SECONDS_PER_HOUR = 3600

STEP = Fraction(1, 10**6)
"""What requests cost is stated in millionths of a dollar: each amount may be off by one."""


def broken_budgets(problem: Problem, solution: Solution) -> Iterator[Violation]:
    """In every period the fleet is within the budget, and what is paid to a provider within the provider's."""
    for moment in moments(problem, solution):
        paid = _paid_to(problem, moment)
        total = sum(paid.values(), _of_pools(problem, solution))
        budget = problem.budget_usd_per_hour
        if budget is not None and total > _most(moment, budget):
            message = f"costs {_usd(total)} usd_per_hour, budget is {budget}"
            yield Violation(rule="budget", subject=moment.where("budget_usd_per_hour"), message=message)
        for provider, most in problem.provider_budgets_usd_per_hour.items():
            if paid[provider] > _most(moment, most):
                message = f"costs {_usd(paid[provider])} usd_per_hour, budget is {most}"
                yield Violation(rule="provider budgets", subject=moment.where(provider), message=message)


def _most(moment: Moment, budget: Decimal) -> Fraction:
    """A budget; where requests cost something, with what rounding may add."""
    requests = sum(s.usd_per_hour for s in moment.does.shares) + sum(
        h.usd_per_hour for h in moment.does.handovers
    )
    return Fraction(budget) * (1 + TOLERANCE * (requests > 0))


def broken_mean_budget(problem: Problem, solution: Solution) -> Iterator[Violation]:
    """Over the window the fleet costs no more than the mean budget, changes included."""
    budget = problem.mean_budget_usd_per_hour
    total = _mean_cost(problem, solution) + Fraction(solution.changes_usd_per_hour)
    total += _of_pools(problem, solution)
    if budget is not None and total > Fraction(budget) * (1 + TOLERANCE):
        message = f"costs {_usd(total)} usd_per_hour on average, budget is {budget}"
        yield Violation(rule="mean budget", subject="mean_budget_usd_per_hour", message=message)


def _mean_cost(problem: Problem, solution: Solution) -> Fraction:
    costs = (m.part * sum(_paid_to(problem, m).values(), Fraction(0)) for m in moments(problem, solution))
    return sum(costs, Fraction(0))


def _of_pools(problem: Problem, solution: Solution) -> Fraction:
    """What pools cost besides their nodes, in every period: one that has nodes in any of them as much as one that always has."""
    used = {pool.key for does in solution.stretches for pool in does.pools}
    return Fraction(problem.usd_per_pool_hour) * len(used)


def _paid_to(problem: Problem, moment: Moment) -> defaultdict[str, Fraction]:
    """What each provider gets in a period: for nodes by their price, for requests what the solution says of each."""
    provider_of = {place.id: place.provider for place in problem.everywhere}
    price = {offer.id: offer.usd_per_hour for offer in problem.offers}
    whole = _paid_as_a_whole(problem)
    paid: defaultdict[str, Fraction] = defaultdict(Fraction)
    for pool in moment.does.pools:
        for offer in pool.rented.keys() - whole:
            paid[provider_of[offer]] += Fraction(price[offer]) * pool.rented[offer]
    for rental in moment.does.rentals:
        paid[provider_of[rental.offer]] += Fraction(price[rental.offer]) * rental.nodes
    for share in moment.does.shares:
        paid[provider_of[share.offer]] += Fraction(share.usd_per_hour)
    for handover in moment.does.handovers:
        paid[provider_of[handover.source]] += Fraction(handover.usd_per_hour)
    return paid


def wrong_totals(problem: Problem, solution: Solution) -> Iterator[Violation]:
    """Every amount is what its nodes and requests cost, and the sums are those of the amounts."""
    for moment in moments(problem, solution):
        yield from _wrong_nodes(problem, moment)
        yield from _wrong_requests(problem, moment)
        total = sum(_paid_to(problem, moment).values(), Fraction(0))
        if Fraction(moment.does.usd_per_hour) != total:
            message = f"says {moment.does.usd_per_hour} usd_per_hour, costs {_usd(total)}"
            subject = moment.where("usd_per_hour")
            yield Violation(rule="cost and rate", subject=subject, message=message)
    yield from _wrong_sums(problem, solution)


def _wrong_nodes(problem: Problem, moment: Moment) -> Iterator[Violation]:
    price = {offer.id: offer.usd_per_hour for offer in problem.offers}
    whole = _paid_as_a_whole(problem)
    for pool in moment.does.pools:
        due = sum((price[o] * n for o, n in pool.rented.items() if o not in whole), Decimal(0))
        if pool.usd_per_hour != due:
            message = f"says {pool.usd_per_hour} usd_per_hour, costs {due}"
            subject = moment.where(name_of(pool.key))
            yield Violation(rule="cost and rate", subject=subject, message=message)
    for rental in moment.does.rentals:
        if rental.usd_per_hour != price[rental.offer] * rental.nodes:
            message = f"says {rental.usd_per_hour} usd_per_hour, costs {price[rental.offer] * rental.nodes}"
            yield Violation(rule="cost and rate", subject=moment.where(rental.offer), message=message)


def _paid_as_a_whole(problem: Problem) -> frozenset[str]:
    parted = {offer for c in problem.columns if c.parts_per_node > 1 for offer in (c.offer, *c.also)}
    return frozenset(
        {o.id for o in problem.offers if o.billing is Billing.RESERVED or o.lot_nodes > 1} | parted
    )


def _wrong_requests(problem: Problem, moment: Moment) -> Iterator[Violation]:
    prices = _usd_per_request(problem)
    for share in moment.does.shares:
        rate = moment.asked(share.workload_class) * exact(share.share)
        due = Fraction(prices[share.key].get(share.workload_class, Decimal(0))) * rate * SECONDS_PER_HOUR
        if abs(Fraction(share.usd_per_hour) - due) > STEP + due * TOLERANCE:
            message = f"says {share.usd_per_hour} usd_per_hour, costs {_usd(due)}"
            subject = moment.where(f"{share.workload_class} on {name_of(share.key)}")
            yield Violation(rule="cost and rate", subject=subject, message=message)
    price = {link.key: Fraction(link.usd_per_gb) for link in problem.links}
    size = {c.name: exact(c.kv_gb_per_request) for c in problem.classes}
    for one in moment.does.handovers:
        rate = exact(one.requests_per_second) * size[one.workload_class]
        due = price.get((one.source, one.target), Fraction(0)) * rate * SECONDS_PER_HOUR
        if abs(Fraction(one.usd_per_hour) - due) > STEP + due * TOLERANCE:
            message = f"says {one.usd_per_hour} usd_per_hour, costs {_usd(due)}"
            subject = moment.where(f"{one.source} to {one.target}")
            yield Violation(rule="cost and rate", subject=subject, message=message)


def _usd_per_request(problem: Problem) -> defaultdict[tuple[str, str], Mapping[str, Decimal]]:
    """By place and class; nothing where nobody says."""
    prices: defaultdict[tuple[str, str], Mapping[str, Decimal]] = defaultdict(dict)
    prices.update({(service.id, ""): service.usd_per_request for service in problem.services})
    prices.update({column.key: column.usd_per_request for column in problem.columns})
    return prices


def _wrong_sums(problem: Problem, solution: Solution) -> Iterator[Violation]:
    of_pools = _of_pools(problem, solution)
    if Fraction(solution.pools_usd_per_hour) != of_pools:
        message = f"says {solution.pools_usd_per_hour} usd_per_hour, cost {_usd(of_pools)}"
        yield Violation(rule="cost and rate", subject="pools_usd_per_hour", message=message)
    total = _mean_cost(problem, solution) + Fraction(solution.changes_usd_per_hour) + of_pools
    off = abs(Fraction(solution.usd_per_hour) - total)
    if off > STEP * bool(problem.periods):
        message = f"says {solution.usd_per_hour} usd_per_hour, costs {_usd(total)}"
        yield Violation(rule="cost and rate", subject="usd_per_hour", message=message)
    minimises = problem.mode is Mode.MIN_COST
    shed = sum(
        (
            m.part * Fraction(one.requests_per_second)
            for m in moments(problem, solution)
            for one in m.does.shed
        ),
        Fraction(0),
    )
    served = problem.requests_per_second - float(shed)
    if minimises and not close(solution.requests_per_second, served):
        message = f"says {solution.requests_per_second}, the demand but for what is shed is {served}"
        yield Violation(rule="cost and rate", subject="requests_per_second", message=message)
    of_shed = sum((one.usd_per_hour for one in solution.shed), Decimal(0))
    due = float(solution.usd_per_hour + of_shed) if minimises else solution.requests_per_second
    if not close(solution.objective, due):
        message = f"says {solution.objective}, is {due}"
        yield Violation(rule="cost and rate", subject="objective", message=message)


def _usd(amount: Fraction) -> str:
    """Without zeros at the end of decimals."""
    return f"{float(amount):.10g}"


def wrong_sheds(problem: Problem, solution: Solution) -> Iterator[Violation]:
    """Of each class no more is turned away than may be, and it costs what it is said to."""
    demands = {c.name: c for c in problem.classes if problem.sheds(c)}
    for stretch, does in zip(problem.stretches, solution.stretches, strict=True):
        for name, count in Counter(one.workload_class for one in does.shed).items():
            if count > 1:
                yield Violation(rule="shedding", subject=name, message="appears twice")
        for one in does.shed:
            subject = f"{one.workload_class} in {does.name}" if does.name else one.workload_class
            if one.workload_class not in demands:
                yield Violation(rule="shedding", subject=subject, message="may not be turned away")
                continue
            demand = demands[one.workload_class]
            for message in _faults_of_shed(one, demand, Fraction(stretch.rates[demand.name])):
                yield Violation(rule="shedding", subject=subject, message=message)
    yield from _wrong_mean_of_shed(problem, solution)


def _faults_of_shed(one: SolvedShed, demand: Demand, arriving: Fraction) -> Iterator[str]:
    share, most = exact(one.share), exact(demand.max_shed_share)
    rate = arriving * share
    usd = rate * Fraction(demand.shed_usd_per_request or 0) * SECONDS_PER_HOUR
    if share <= 0 or share > most + TOLERANCE * (most < 1):
        yield f"{percent(float(share), 4)} is turned away, at most {percent(float(most), 2)} may be"
    if abs(exact(one.requests_per_second) - rate) > rate * TOLERANCE:
        yield f"says {one.requests_per_second} requests per second, are {float(rate)}"
    if abs(Fraction(one.usd_per_hour) - usd) > STEP + usd * TOLERANCE:
        yield f"says {one.usd_per_hour} usd_per_hour, costs {float(usd):.10g}"


def _wrong_mean_of_shed(problem: Problem, solution: Solution) -> Iterator[Violation]:
    """Over the window as much is turned away as in all periods together."""
    if not problem.periods:
        return
    told = {one.workload_class: one for one in solution.shed}
    parts = [
        (stretch.part, one)
        for stretch, does in zip(problem.stretches, solution.stretches, strict=True)
        for one in does.shed
    ]
    for name in {**told, **{one.workload_class: one for _, one in parts}}:
        own = [(part, one) for part, one in parts if one.workload_class == name]
        rate = sum((part * exact(one.requests_per_second) for part, one in own), Fraction(0))
        usd = sum((part * Fraction(one.usd_per_hour) for part, one in own), Fraction(0))
        asked = sum((s.part * Fraction(s.rates.get(name, 0.0)) for s in problem.stretches), Fraction(0))
        said = told.get(name)
        if said is None or not own or not _is_mean(said, rate, usd, asked):
            message = (
                f"{float(rate):g} requests per second are turned away, at {float(usd):.10g} usd_per_hour"
            )
            yield Violation(rule="shedding", subject=name, message=message)


def _is_mean(said: SolvedShed, rate: Fraction, usd: Fraction, asked: Fraction) -> bool:
    """Whether it says that rate, its share of what is asked for, and that cost."""
    return (
        abs(exact(said.requests_per_second) - rate) <= rate * TOLERANCE
        and abs(exact(said.share) * asked - rate) <= asked * TOLERANCE
        and abs(Fraction(said.usd_per_hour) - usd) <= STEP
    )
