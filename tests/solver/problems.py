"""Problems to solve: the toy of the paper, tiny random ones with every limit, and a larger one with structure."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from random import Random

from hypothesis import strategies as st

from hetops.solver.certify import certify
from hetops.solver.problem import Column, Demand, Mode, PricedOffer, Problem, QuotaGroup
from hetops.solver.solution import Solution
from hetops.solver.solve import DEFAULT_LIMIT_SECONDS, solve


def offer(
    offer_id: str,
    usd_per_hour: str,
    max_nodes: int | None = 4,
    provider: str = "acme",
    gpu: str = "",
    **quota: str,
) -> PricedOffer:
    """An offer; keywords are quota groups."""
    return PricedOffer(
        id=offer_id,
        usd_per_hour=Decimal(usd_per_hour),
        max_nodes=max_nodes,
        provider=provider,
        gpu=gpu or offer_id,
        quota_per_node={group: Decimal(amount) for group, amount in quota.items()},
    )


def column(offer_id: str, configuration: str = "tp1", **rates: float) -> Column:
    """A column; keywords are the rates of one node by class."""
    return Column(offer=offer_id, configuration=configuration, requests_per_second=rates)


def demands(**rates: float) -> tuple[Demand, ...]:
    """Classes with their rates."""
    return tuple(Demand(name=name, requests_per_second=rate) for name, rate in rates.items())


TOY = Problem(
    mode=Mode.MAX_THROUGHPUT,
    offers=(
        offer("t1", "4", 2),
        offer("t2", "2", 2, t2="1"),
        offer("t2-pair", "4", 1, t2="2"),
        offer("t3", "2", 2),
    ),
    quota_groups=(QuotaGroup(id="t2", limit=Decimal(2), unit="GPUs"),),
    configurations=("tp1", "tp2"),
    classes=demands(w1=80.0, w2=20.0),
    columns=(
        column("t1", w1=1.0, w2=1.2),
        column("t2", w1=0.9, w2=0.9),
        column("t2-pair", "tp2", w1=2.4, w2=1.5),
        column("t3", w1=0.3, w2=0.5),
    ),
    budget_usd_per_hour=Decimal(8),
    gap=0.0,
)
"""The worked example of section 4.2 of "Demystifying Cost-Efficiency in LLM Serving over Heterogeneous GPUs"
(ICML 2025): three GPU types, two of each, 100 requests, 8 USD per hour."""


def solved(problem: Problem, seconds: float = DEFAULT_LIMIT_SECONDS) -> Solution:
    """The answer, which is certified."""
    outcome = solve(problem, limit_seconds=seconds)
    assert isinstance(outcome, Solution)
    assert certify(problem, outcome) == ()
    return outcome


def small(**changes: object) -> Problem:
    """Two unlike offers and two classes: mixing them is cheapest (one `fast`, one `cheap`, 5 USD per hour)."""
    problem = Problem(
        offers=(offer("cheap", "1", 3), offer("fast", "4", 3, provider="other")),
        configurations=("tp1",),
        classes=demands(chat=2.0, code=4.0),
        columns=(column("cheap", chat=2.0, code=0.5), column("fast", chat=2.0, code=4.0)),
        gap=0.0,
    )
    return replace(problem, **changes)


RATES = st.sampled_from((0.0, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0))
PRICES = st.sampled_from(("0.5", "1", "1.25", "2", "2.0001", "4"))


@st.composite
def tiny(draw: st.DrawFn, *, mode: Mode = Mode.MIN_COST, mixed: int = 0) -> Problem:
    """At most three offers, four columns and two classes, with every kind of limit now and then.

    Columns stand on nodes of up to `mixed` offers besides.
    """
    names = [f"o{i}" for i in range(draw(st.integers(1, 3)))]
    offers = tuple(
        offer(
            name,
            draw(PRICES),
            draw(st.integers(0, 3)),
            f"p{draw(st.integers(0, 1))}",
            q=draw(st.sampled_from("012")),
        )
        for name in names
    )
    keys = draw(
        st.lists(
            st.tuples(st.sampled_from(names), st.sampled_from("ab")), min_size=1, max_size=4, unique=True
        )
    )
    providers = {o.provider for o in offers}
    return Problem(
        mode=mode,
        offers=offers,
        quota_groups=(QuotaGroup(id="q", limit=Decimal(draw(st.integers(0, 9)))),),
        configurations=("a", "b"),
        classes=demands(x=draw(st.sampled_from((0.5, 1.0, 3.0))), y=draw(st.sampled_from((0.0, 1.0, 2.5)))),
        columns=tuple(
            replace(
                column(o, c, x=draw(RATES), y=draw(RATES)),
                also=draw(st.dictionaries(st.sampled_from(names), st.integers(1, 2), max_size=mixed)),
            )
            for o, c in keys
        ),
        budget_usd_per_hour=draw(st.sampled_from((None, Decimal(3), Decimal("7.5"), Decimal("6.0003")))),
        provider_budgets_usd_per_hour={"p0": Decimal(4)} if "p0" in providers and draw(st.booleans()) else {},
        headroom=draw(st.sampled_from((0.0, 0.25))),
        max_pools=draw(st.sampled_from((None, 1, 2))),
        usd_per_pool_hour=draw(st.sampled_from((Decimal(0), Decimal(0), Decimal("0.3"), Decimal(2)))),
        gap=0.0,
    )


def hard(*, offers: int = 60, configurations: int = 12, classes: int = 16) -> Problem:
    """Rates that have nothing to do with one another: a first fleet is found at once, the best one not in minutes."""
    random = Random(3)
    names = tuple(f"c{i}" for i in range(classes))
    ids = tuple(f"o{i}" for i in range(offers))
    kinds = tuple(f"k{i}" for i in range(configurations))
    return Problem(
        offers=tuple(offer(o, f"{random.uniform(0.5, 9):.3f}", random.randint(1, 5)) for o in ids),
        configurations=kinds,
        classes=tuple(Demand(name=n, requests_per_second=random.uniform(1, 9)) for n in names),
        columns=tuple(column(o, k, **{n: random.uniform(0.2, 2) for n in names}) for o in ids for k in kinds),
        gap=0.0,
    )


def many(count: int, columns: int) -> Problem:
    """Classes of random lengths on nodes of unlike speed at reading, writing and keeping up; long ones fit on few."""
    random = Random(1)
    lengths = [(2 ** random.uniform(5, 14), 2 ** random.uniform(4, 10)) for _ in range(count)]
    names = [f"c{i}" for i in range(count)]

    def rates(usd: float) -> dict[str, float]:
        speed, reading, writing = (random.uniform(0.7, 1.4) for _ in range(3))
        longest = random.choice((2000, 8000, 32000))
        return {
            name: usd * speed * 1000 / (reading * a * 0.3 + writing * b * 3 + 50)
            for name, (a, b) in zip(names, lengths, strict=True)
            if a + b <= longest
        }

    prices = [round(random.uniform(0.5, 12), 2) for _ in range(columns)]
    return Problem(
        offers=tuple(offer(f"o{j}", str(usd), random.randint(2, 40)) for j, usd in enumerate(prices)),
        configurations=("k",),
        classes=tuple(Demand(name=n, requests_per_second=random.uniform(0.1, 2) * 20 / count) for n in names),
        columns=tuple(
            Column(offer=f"o{j}", configuration="k", requests_per_second=rates(usd))
            for j, usd in enumerate(prices)
        ),
    )
