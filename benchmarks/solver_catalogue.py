"""A catalogue as large as five clouds: every list price in many regions and both markets, and all configurations.

The machine types and their prices are the catalogue's dated list prices; what regions and spot markets ask is MADE UP
around them by a seeded generator, because nobody publishes thousands of such prices at once. Rates are the closed
form's at the lower end of its interval, as `hetops plan` uses them. Good for timing, not for choosing a cloud.
"""

from __future__ import annotations

import itertools
import math
import random
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from benchmarks.solver_cells import Rated, rates
from hetops.catalog import tables
from hetops.catalog.list_prices import list_prices
from hetops.domain.configuration import Configuration
from hetops.domain.model import Precision
from hetops.domain.offer import Market, Offer
from hetops.domain.workload import LatencyTarget, TokenLengths, WorkloadClass
from hetops.performance.table import best_of_each
from hetops.solver.bands import Bands
from hetops.solver.formulate import formulate
from hetops.solver.problem import Column, Demand, Mode, PricedOffer, Problem
from hetops.solver.questions.breakeven import asked_about, breakeven
from hetops.solver.questions.class_cost import class_cost
from hetops.solver.questions.explain import weigh
from hetops.solver.questions.explanation import Statement
from hetops.solver.questions.why import Case, why
from hetops.solver.questions.why_none import why_none
from hetops.solver.questions.why_not import meant, why_not
from hetops.solver.solution import Solution
from hetops.solver.solve import DEFAULT_LIMIT_SECONDS, PROOF_GAP, Effort, solve
from hetops.solver.terms import Billing, Period

MODEL = "llama-3.1-70b"
REGIONS = 40
"""Regions that a machine type is offered in, at most."""
PRECISIONS = (Precision.BF16, Precision.FP8, Precision.INT8, Precision.INT4, Precision.FP4)
SIZES = (
    (300, 150), (800, 60), (1200, 400), (2000, 30), (2500, 500), (4000, 200), (6000, 800), (12000, 300),
)  # fmt: skip
"""Mean input and output tokens of the classes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueProblem:
    """The problem, and how many configurations were estimated for it and how many no other one beats."""

    problem: Problem
    configurations: int
    kept: int


def catalogue_problem(*, offers: int, requests_per_second: float, seed: int = 0) -> CatalogueProblem:
    """So many offers with every useful configuration on each; eight classes of one model."""
    sold = tuple(_offers(seed))
    classes = _classes(requests_per_second)
    rated = rates(MODEL, tuple(dict.fromkeys(o.gpu for o in sold)), classes, precisions=PRECISIONS)
    kept = best_of_each(rated.configurations, rated.table)
    rows = tuple(_columns(sold, kept, rated, classes))
    able = tuple(itertools.islice(dict.fromkeys(column.offer for column in rows), offers))
    columns = tuple(column for column in rows if column.offer in set(able))
    problem = Problem(
        offers=tuple(o for o in sold if o.id in able),
        configurations=tuple(dict.fromkeys(column.configuration for column in columns)),
        classes=tuple(Demand(name=c.name, requests_per_second=c.requests_per_second) for c in classes),
        columns=columns,
        headroom=0.15,
    )
    return CatalogueProblem(problem=problem, configurations=len(rated.configurations), kept=len(kept))


HOURS = 24
BOOT_SECONDS = 300.0
PEAK = 3.5
"""Highest over lowest rate of a class in a day, before an hour's own chance."""


def day_problem(problem: Problem, seed: int = 0) -> Problem:
    """The catalogue's problem over a day of hours: each class swings at its own time, an hour is 5 % off at most."""
    dice = random.Random(seed)
    late = {c.name: dice.uniform(-2, 2) for c in problem.classes}
    swing = (PEAK - 1) / (PEAK + 1)

    def rate(demand: Demand, hour: int) -> float:
        phase = math.sin(2 * math.pi * (hour - 9 + late[demand.name]) / HOURS)
        return demand.requests_per_second * (1 + swing * phase) * dice.uniform(0.95, 1.05)

    return replace(
        problem,
        columns=tuple(replace(column, boot_seconds=BOOT_SECONDS) for column in problem.columns),
        periods=tuple(
            Period(
                name=f"{hour:02}:00",
                hours=1.0,
                requests_per_second={c.name: rate(c, hour) for c in problem.classes},
            )
            for hour in range(HOURS)
        ),
    )


def _offers(seed: int) -> Iterator[PricedOffer]:
    """The snapshot's machine types, region after region, on demand and spot."""
    listed = [o for o in list_prices(tables.load()).offers if o.gpu != "CPU"]
    dice = random.Random(seed)
    for region, offer in itertools.product(range(REGIONS), listed):
        dearer = 1.0 if region == 0 else dice.uniform(0.92, 1.35)
        for market in (Market.ON_DEMAND, Market.SPOT):
            share = 1.0 if market is offer.market else _share_of_spot(offer, dice)
            yield PricedOffer(
                id=f"{offer.provider}/region-{region}/{offer.sku}/{offer.market}/{market}",
                usd_per_hour=Decimal(f"{float(offer.usd_per_hour) * dearer * share:.4f}"),
                max_nodes=dice.choice((None, 1, 2, 4, 8, 16)),
                provider=offer.provider,
                gpu=offer.gpu,
                gpu_count=offer.gpu_count,
            )


def _share_of_spot(offer: Offer, dice: random.Random) -> float:
    """Price of the other market over the listed one's."""
    spot = dice.uniform(0.3, 0.8)
    return 1 / spot if offer.market is Market.SPOT else spot


def _classes(requests_per_second: float) -> list[WorkloadClass]:
    weights = [1 / (1 + k) for k in range(len(SIZES))]
    return [
        WorkloadClass(
            name=f"{i}/{o}",
            requests_per_second=requests_per_second * weight / sum(weights),
            input_tokens=_spread(i),
            output_tokens=_spread(o),
            target=LatencyTarget(ttft_seconds=4.0, tpot_seconds=0.1),
        )
        for (i, o), weight in zip(SIZES, weights, strict=True)
    ]


def _spread(mean: float) -> TokenLengths:
    return TokenLengths(mean=mean, p50=0.8 * mean, p90=1.8 * mean, p95=2.2 * mean, p99=3.0 * mean)


def _columns(
    offers: Sequence[PricedOffer],
    configurations: Sequence[Configuration],
    rated: Rated,
    classes: Sequence[WorkloadClass],
) -> Iterator[Column]:
    """As many replicas of each configuration as a node has room for."""
    for offer in offers:
        for one in (c for c in configurations if c.gpu == offer.gpu and c.gpu_count <= offer.gpu_count):
            replicas = offer.gpu_count // one.gpu_count
            found = {
                c.name: rated.table.row(one.id, c.name).planned_requests_per_second * replicas
                for c in classes
            }
            yield Column(
                offer=offer.id,
                configuration=one.id,
                replicas_per_node=replicas,
                requests_per_second={name: rate for name, rate in found.items() if rate > 0},
            )


def figures() -> Iterator[str]:
    """How long formulating, searching and explaining take, and what was left out before the search and why."""
    for offers, rate in ((300, 20.0), (3000, 20.0), (3000, 200.0)):
        made = catalogue_problem(offers=offers, requests_per_second=rate)
        problem = made.problem
        bands = Bands.of(problem)
        yield (
            f"{len(problem.offers)} offers, {len(problem.classes)} classes, {rate:g}/s:"
            f" {made.configurations} configurations, {made.configurations - made.kept} of them beaten on their GPU type in"
            f" every class; {len(problem.columns)} columns, of which the search begins with"
            f" {len(bands.searched.columns)}: {bands.waiting} offers wait behind a cheaper one of equal nodes"
        )
        yield f"  {_solved(problem)}"
        yield f"  {_formulating(bands.searched)}"
        yield f"  {_explaining(problem)}"
        yield f"  {_five_questions(problem)}"
    yield from _days()
    yield from _tied_days()


def _solved(problem: Problem) -> str:
    """What the fleet costs, and what finding it took."""
    began, at = time.process_time(), time.monotonic()
    found = solve(problem)
    seconds, clock = time.process_time() - began, time.monotonic() - at
    if not isinstance(found, Solution):
        raise SystemExit("the catalogue serves nobody: its generator is wrong")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return f"{found.usd_per_hour} USD/h, gap {found.gap:.1e}, {seconds:.2f} CPU s, {clock:.2f} s, {peak:.0f} MB at most"


def _days() -> Iterator[str]:
    """How long a day of 24 hours with starts takes, at several rates."""
    for rate in (20.0, 60.0, 200.0):
        problem = day_problem(catalogue_problem(offers=3000, requests_per_second=rate).problem)
        yield (
            f"a day of {len(problem.periods)} hours, {len(problem.offers)} offers, {rate:g}/s at the mean:"
            f" {_solved(problem)}"
        )


def _tied_days() -> Iterator[str]:
    """And where more than starts ties its hours."""
    few, some, many = (
        day_problem(catalogue_problem(offers=offers, requests_per_second=20.0).problem)
        for offers in (200, 300, 3000)
    )
    days = {
        "two classes may wait for six hours, 200 offers": waiting(few),
        "two classes may wait for six hours, 3,000 offers": waiting(many),
        "a tenth of the offers reserved at 60 %, 200 offers": reserving(few),
        "a tenth of the offers reserved at 60 %, 3,000 offers": reserving(many),
        "a mean budget of $18, 300 offers": replace(some, mean_budget_usd_per_hour=Decimal(18)),
        "the largest rate for $60, 300 offers": replace(
            some, mode=Mode.MAX_THROUGHPUT, budget_usd_per_hour=Decimal(60)
        ),
        "at most 4 pools, 200 offers": replace(few, max_pools=4),
    }
    for name, problem in days.items():
        yield f"a day of {len(problem.periods)} hours at 20/s, {name}: {_solved(problem)}"


def waiting(problem: Problem) -> Problem:
    """The day in which two classes of long answers may wait."""
    batch = {f"{i}/{o}" for i, o in SIZES if 2000 < i < 12000 and o in (500, 800)}
    classes = (replace(c, deadline_hours=6.0) if c.name in batch else c for c in problem.classes)
    return replace(problem, classes=tuple(classes))


def reserving(problem: Problem, seed: int = 0) -> Problem:
    """The day in which a tenth of the offers is paid for all day, at 60 % of its price."""
    dice = random.Random(seed)
    offers = (
        replace(o, billing=Billing.RESERVED, usd_per_hour=o.usd_per_hour * Decimal("0.6"))
        if dice.random() < 0.1
        else o
        for o in problem.offers
    )
    return replace(problem, offers=tuple(offers))


def _formulating(problem: Problem) -> str:
    """The search's first model: how long making it takes beside searching it."""
    began = time.process_time()
    formulate(problem)
    made = time.process_time()
    solve(problem)
    return f"formulating the first search {made - began:.3f} CPU s, all of it {time.process_time() - made:.2f} CPU s"


def _proven(problem: Problem) -> Solution:
    proven = solve(problem, effort=Effort(most_gap=PROOF_GAP))
    if not isinstance(proven, Solution):
        raise SystemExit("the catalogue serves nobody: its generator is wrong")
    return proven


def _explaining(problem: Problem) -> str:
    """The whole answer to why: limits, dollars, and the losers, each to a millionth."""
    began = time.process_time()
    proven = _proven(problem)
    solved = time.process_time()
    weighed = weigh(problem, proven, limit_seconds=DEFAULT_LIMIT_SECONDS, most_gap=PROOF_GAP)
    told = why(Case.of(problem, weighed.solution, seconds=DEFAULT_LIMIT_SECONDS / 12))
    return (
        f"proven to {proven.gap:.0e} in {solved - began:.2f} CPU s; explained in {time.process_time() - solved:.2f} CPU s:"
        f" {len(told)} sentences, {len(weighed.alternatives)} losers"
    )


def _five_questions(problem: Problem) -> str:
    """One question after the other, each with its own search for the fleet as a command has it; why without its losers."""
    poor = replace(problem, budget_usd_per_hour=_proven(problem).usd_per_hour / 3)
    asked: dict[str, Callable[[], tuple[Statement, ...]]] = {
        "why": lambda: why(_case(problem)),
        "why not the first GPU type that is not in it": lambda: _why_not_first(_case(problem)),
        "a class": lambda: class_cost(_case(problem), problem.classes[2].name),
        "break-even prices": lambda: _breakeven(_case(problem)),
        "why no fleet for a third of what it costs": lambda: why_none(poor),
    }
    took, sentences = [], 0
    for question in asked.values():
        began = time.process_time()
        sentences += len(question())
        took.append(time.process_time() - began)
    each = ", ".join(f"{name} {seconds:.2f}" for name, seconds in zip(asked, took, strict=True))
    return f"five questions, {sentences} sentences: {sum(took):.2f} CPU s ({each})"


def _case(problem: Problem) -> Case:
    return Case.of(problem, _proven(problem), seconds=DEFAULT_LIMIT_SECONDS)


def _why_not_first(case: Case) -> tuple[Statement, ...]:
    rented = {offer for pool in case.solution.pools for offer in pool.rented}
    used = {offer.gpu for offer in case.problem.offers if offer.id in rented}
    gpu = min({offer.gpu for offer in case.problem.offers} - used)
    return why_not(case, gpu, meant(case.problem, gpu))


def _breakeven(case: Case) -> tuple[Statement, ...]:
    return breakeven(case, asked_about(case))
