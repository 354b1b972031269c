"""Made-up problems that are harder than real ones, and the paper's worked example.

Rates are MADE UP by the two-line formula of `rate`: good for timing a solver and for nothing else.
"""

from __future__ import annotations

import itertools
import random
import statistics
import time
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

from hetops.domain.offer import Trait
from hetops.domain.percent import percent, signed_percent
from hetops.solver.problem import Column, Demand, Mode, PricedOffer, Problem, QuotaGroup
from hetops.solver.questions.explain import weigh
from hetops.solver.questions.relax import relaxations
from hetops.solver.solution import Solution
from hetops.solver.solve import solve
from hetops.solver.terms import Loss

# TFLOPS FP16, GB/s, GB, USD per GPU hour: table 1 of the paper.
GPUS = {
    "A6000": (91, 960, 48, "0.83"),
    "A40": (150, 696, 48, "0.55"),
    "L40": (181, 864, 48, "0.83"),
    "A100": (312, 1555, 80, "1.75"),
    "H100": (1979, 3350, 80, "2.99"),
    "4090": (83, 1008, 24, "0.53"),
}
WEIGHTS_GB = 140.0


def rate(gpu: str, gpus: int, input_tokens: int, output_tokens: int) -> float:
    """MADE UP: so many requests per second."""
    tflops, bandwidth, memory, _ = GPUS[gpu]
    free = gpus * memory * 0.9 - WEIGHTS_GB
    batch = free / (0.0004 * (input_tokens + output_tokens))
    if batch < 1:
        return 0.0
    seconds = input_tokens * 0.35 / (gpus * tflops) + output_tokens * 200.0 / (
        gpus * bandwidth * min(batch, 64)
    )
    return float(gpus**-0.05 / seconds)


def many_columns(*, requests_per_second: float, classes: int, seed: int) -> Problem:
    """10 offers with every tensor parallelism, 2 precisions and 10 batch limits: what a catalogue makes of a model.

    On top of the made-up formula each configuration is up to 10 % better or worse than its like, and each of its
    rates up to 3 %, so that hardly any configuration beats another in every class.
    """
    dice = random.Random(seed)
    lengths = [(dice.randint(100, 4000), dice.randint(10, 800)) for _ in range(classes)]
    weights = [dice.uniform(0.2, 1.5) for _ in lengths]
    offers, columns = [], []
    for gpu, gpus in [(gpu, gpus) for gpu in ("A40", "L40", "A6000", "A100", "H100") for gpus in (4, 8)]:
        price = Decimal(GPUS[gpu][3]) * gpus
        offers.append(
            PricedOffer(id=f"{gpu}x{gpus}", usd_per_hour=price, max_nodes=dice.randint(2, 12), gpu=gpu)
        )
        for tp, halves, batch in itertools.product((1, 2, 4, 8), (1, 2), range(10)):
            if tp > gpus:
                continue
            better = dice.uniform(0.9, 1.1) * halves**0.5 * (1 - 0.02 * batch)
            rates = {
                f"w{k}": gpus // tp * better * dice.uniform(0.97, 1.03) * rate(gpu, tp * halves, *of) / halves
                for k, of in enumerate(lengths)
            }
            name = f"tp{tp} p{halves} b{batch}"
            columns.append(Column(offer=f"{gpu}x{gpus}", configuration=name, requests_per_second=rates))
    return _problem(offers, columns, weights, requests_per_second)


def unrelated(*, requests_per_second: float, seed: int) -> Problem:
    """10 offers, 80 configurations on each, 9 classes, all rates independent: harder than anything real."""
    dice = random.Random(seed)
    base = [dice.uniform(0.05, 0.9) for _ in range(9)]
    offers, columns = [], []
    for o in range(10):
        price = Decimal(f"{dice.uniform(0.5, 12):.3f}")
        offers.append(
            PricedOffer(id=f"o{o}", usd_per_hour=price, max_nodes=dice.randint(2, 12), gpu=f"g{o % 5}")
        )
        for c in range(80):
            rates = {f"w{w}": b * float(price) * dice.uniform(0.4, 1.6) for w, b in enumerate(base)}
            columns.append(Column(offer=f"o{o}", configuration=f"c{c}", requests_per_second=rates))
    return _problem(offers, columns, [dice.uniform(0.2, 1.5) for _ in base], requests_per_second)


def _problem(
    offers: list[PricedOffer], columns: list[Column], weights: list[float], requests_per_second: float
) -> Problem:
    return Problem(
        offers=tuple(offers),
        configurations=tuple(dict.fromkeys(column.configuration for column in columns)),
        classes=tuple(
            Demand(name=f"w{w}", requests_per_second=requests_per_second * weight / sum(weights))
            for w, weight in enumerate(weights)
        ),
        columns=tuple(columns),
    )


def toy() -> Problem:
    """The paper's worked example: 28.4314 s for 100 requests."""
    table = {
        ("t1", "4", 2, "0"): (1.0, 1.2),
        ("t2", "2", 2, "1"): (0.9, 0.9),
        ("t2 pair", "4", 1, "2"): (2.4, 1.5),
        ("t3", "2", 2, "0"): (0.3, 0.5),
    }
    return Problem(
        mode=Mode.MAX_THROUGHPUT,
        offers=tuple(
            PricedOffer(id=i, usd_per_hour=Decimal(p), max_nodes=n, quota_per_node={"t2": Decimal(q)})
            for i, p, n, q in table
        ),
        quota_groups=(QuotaGroup(id="t2", limit=Decimal(2)),),
        configurations=("tp",),
        classes=(Demand(name="w1", requests_per_second=80.0), Demand(name="w2", requests_per_second=20.0)),
        columns=tuple(
            Column(offer=i, configuration="tp", requests_per_second={"w1": a, "w2": b})
            for (i, *_), (a, b) in table.items()
        ),
        budget_usd_per_hour=Decimal(8),
        gap=0.0,
    )


def timed(problem: Problem) -> tuple[Solution, float]:
    """The solution and the CPU seconds of everything: formulation, search, tidying, balance, certificate."""
    began = time.process_time()
    outcome = solve(problem, limit_seconds=60.0)
    seconds = time.process_time() - began
    if not isinstance(outcome, Solution):
        raise SystemExit("a benchmark problem has no solution: its generator is wrong")
    return outcome, seconds


def figures() -> Iterator[str]:
    """The worked example, then the hard ones: CPU seconds and gaps."""
    solution, seconds = timed(toy())
    yield f"worked example of the paper: {100 / solution.requests_per_second:.4f} s of 28.4314 s, solved in {seconds:.3f} CPU s"
    for classes, rate_of_all in ((9, 3.0), (9, 10.0), (9, 40.0), (24, 80.0)):
        problems = [many_columns(classes=classes, requests_per_second=rate_of_all, seed=s) for s in range(3)]
        label = f"{len(problems[0].columns)} columns, {classes} classes, {rate_of_all:g}/s"
        yield f"{label:<40} {_runs(problems)}"
    yield f"{'800 unrelated columns, 9 classes, 10/s':<40} {_runs([unrelated(requests_per_second=10, seed=0)])}"
    yield from _n_minus_1()
    yield from _explanations()


def any_offer_lost(problem: Problem, *, offers: int, kept_share: float) -> Problem:
    """The problem with its first offers alone, any of which may be lost while so much of every class is served; to 1 %."""
    kept = {offer.id for offer in problem.offers[:offers]}
    columns = tuple(column for column in problem.columns if column.offer in kept)
    loss = Loss(id="any offer", trait=Trait.OFFER, kept_share=kept_share)
    return replace(problem, offers=problem.offers[:offers], columns=columns, losses=(loss,), gap=0.01)


def _n_minus_1() -> Iterator[str]:
    """Any one of eight offers lost: twenty problems, and five each of other sizes; what bearing it costs in the first."""
    for offers, classes, rate_of_all, kept_share, seeds in (
        (8, 9, 10.0, 0.8, 20),
        (4, 9, 10.0, 0.8, 5),
        (10, 9, 10.0, 0.8, 5),
        (8, 3, 10.0, 0.8, 5),
        (8, 16, 10.0, 0.8, 5),
        (8, 9, 5.0, 0.8, 5),
        (8, 9, 20.0, 0.8, 5),
        (8, 9, 10.0, 0.5, 5),
        (8, 9, 10.0, 1.0, 5),
    ):
        made = (many_columns(classes=classes, requests_per_second=rate_of_all, seed=s) for s in range(seeds))
        problems = [any_offer_lost(problem, offers=offers, kept_share=kept_share) for problem in made]
        answers = [timed(problem) for problem in problems]
        whole, _ = timed(replace(problems[0], losses=()))
        dearer = float(answers[0][0].usd_per_hour / whole.usd_per_hour) - 1
        times = [taken for _, taken in answers]
        label = (
            f"any of {offers} offers lost, {percent(kept_share)} served, {classes} classes, {rate_of_all:g}/s"
        )
        yield (
            f"{label:<60} {statistics.mean(times):.2f} CPU s on average of {seeds}, {max(times):.2f} at most,"
            f" gap at most {max(x.gap for x, _ in answers):.1e}; the first {signed_percent(dearer, 1)}"
        )


def _runs(problems: list[Problem]) -> str:
    return ", ".join(f"{seconds:.2f} CPU s (gap {x.gap:.1e})" for x, seconds in map(timed, problems))


def _explanations() -> Iterator[str]:
    problem = many_columns(classes=9, requests_per_second=10.0, seed=0)
    solution, _ = timed(problem)
    began = time.process_time()
    asked = len(weigh(problem, solution).alternatives)
    yield f"{asked} alternatives weighed in {time.process_time() - began:.2f} CPU s"
    began = time.process_time()
    poorer = replace(problem, budget_usd_per_hour=solution.usd_per_hour / 2)
    found = relaxations(poorer)
    yield f"{len(found)} relaxations found in {time.process_time() - began:.2f} CPU s"
