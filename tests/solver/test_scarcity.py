"""Scarcity prices of many classes are those of the model that would have them all."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from random import Random

import numpy as np
import pytest

from hetops.solver.patience import Patience
from hetops.solver.problem import Demand, Problem, QuotaGroup
from hetops.solver.proof import scarcity_prices
from hetops.solver.search.scarcity import priced
from hetops.solver.weak_duality import weak_duality_bound
from tests.solver.problems import column, offer


def unrelated(classes: int, columns: int, **changes: object) -> Problem:
    """Classes whose rates on each column have nothing to do with one another."""
    random = Random(2)
    names = [f"c{i}" for i in range(classes)]
    ids = [f"o{j}" for j in range(columns)]
    problem = Problem(
        offers=tuple(
            offer(o, f"{random.uniform(0.5, 9):.2f}", 100, provider="pq"[j % 2], q="1")
            for j, o in enumerate(ids)
        ),
        quota_groups=(QuotaGroup(id="q", limit=Decimal(1000)),),
        configurations=("k",),
        classes=tuple(Demand(name=n, requests_per_second=random.uniform(1, 9) * 20 / classes) for n in names),
        columns=tuple(column(o, "k", **{n: random.uniform(0.2, 4) for n in names}) for o in ids),
    )
    return replace(problem, **changes)  # type: ignore[arg-type]


def scarce(problem: Problem, nodes: int) -> Problem:
    """With so few nodes of each offer."""
    return replace(problem, offers=tuple(replace(o, max_nodes=nodes) for o in problem.offers))


PROBLEMS = {
    "plenty": unrelated(60, 8),
    "stock": scarce(unrelated(60, 8), 5),
    "quota": unrelated(60, 8, quota_groups=(QuotaGroup(id="q", limit=Decimal(32)),)),
    "provider": unrelated(60, 8, provider_budgets_usd_per_hour={"p": Decimal(10)}),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_they_prove_what_the_relaxation_of_the_whole_model_proves(name: str) -> None:
    problem = PROBLEMS[name]
    loads = np.array(
        [[c.requests_per_second / of.rate(c.name) for of in problem.columns] for c in problem.classes]
    )
    prices, charges = priced(problem, loads, Patience.of(30.0))
    ours = float(weak_duality_bound(problem, prices))
    theirs = float(weak_duality_bound(problem, scarcity_prices(problem)))
    assert ours == pytest.approx(theirs, rel=1e-3)
    assert (charges >= [float(o.usd_per_hour) for o in problem.offers]).all()
    assert (name == "plenty") == bool(ours == pytest.approx(_unlimited(problem)))


def _unlimited(problem: Problem) -> float:
    """What the classes cost where nothing is scarce."""
    usd = {o.id: float(o.usd_per_hour) for o in problem.offers}
    return sum(
        c.requests_per_second * min(usd[of.offer] / of.rate(c.name) for of in problem.columns)
        for c in problem.classes
    )


def test_without_patience_nothing_is_scarce() -> None:
    problem = PROBLEMS["stock"]
    loads = np.ones((60, 8))
    prices, _ = priced(problem, loads, Patience.of(0.0))
    assert not any(prices.stock.values())


def test_limits_that_nothing_keeps_end_the_search_for_prices() -> None:
    problem = scarce(unrelated(60, 8), 0)
    prices, _ = priced(problem, np.ones((60, 8)), Patience.of(30.0))
    assert max(prices.stock.values()) > 1000
