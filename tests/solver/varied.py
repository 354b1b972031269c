"""Random problems with every limit and every term now and then, each of a seed: small ones for a second solver to solve too."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from random import Random

from hetops.domain.offer import Trait
from hetops.solver.problem import Column, Demand, Mode, PricedOffer, Problem, QuotaGroup
from hetops.solver.terms import Billing, Link, Loss, Migration, Period, Role, Running, Service, ShareLimit

TRAITS = (Trait.ZONE, Trait.PROVIDER, Trait.MARKET, Trait.GPU, Trait.OFFER)


def varied(seed: int, *, offers: int = 6, classes: int = 3) -> Problem:
    """At most so many offers, with one or two configurations each, and classes; the same for the same seed."""
    dice = Random(seed)
    sold = tuple(_offer(dice, i) for i in range(dice.randint(3, offers)))
    asked = tuple(_demand(dice, i) for i in range(dice.randint(1, classes)))
    columns = tuple(_column(dice, o, k, asked) for o in sold for k in range(dice.randint(1, 2)))
    problem = Problem(
        offers=sold,
        configurations=("k0", "k1"),
        classes=asked,
        columns=columns,
        quota_groups=(QuotaGroup(id="q", limit=Decimal(dice.randint(2 * offers, 7 * offers)), unit="GPUs"),),
        headroom=dice.choice((0.0, 0.15)),
        gap=0.0,
    )
    for change in (_services, _periods, _share_limits, _losses, _parts, _roles, _migration, _limits):
        problem = change(dice, problem)
    problem = _ramps(dice, _sheds(dice, _quality(dice, _fastest(dice, problem))))
    return _dear_pools(Random(f"pools {seed}"), problem)


def mixed(seed: int) -> Problem:
    """As `varied`, where some columns stand on nodes of other offers besides, and of their own."""
    dice, problem = Random(seed), varied(seed)
    ids = [offer.id for offer in problem.offers]

    def also(column: Column) -> dict[str, int]:
        if column.role is not Role.WHOLE or not _sometimes(dice, 0.5):
            return {}
        parts = column.parts_per_node
        others = [id_ for id_ in ids if parts == 1 or id_ != column.offer]
        return {
            id_: dice.choice((1, parts, 2 if parts == 1 else 1))
            for id_ in dice.sample(others, dice.choice((1, 1, 2)))
        }

    return replace(problem, columns=tuple(replace(c, also=also(c)) for c in problem.columns))


def _sometimes(dice: Random, part: float) -> bool:
    return dice.random() < part


def _offer(dice: Random, i: int) -> PricedOffer:
    reserved, spot = _sometimes(dice, 0.15), _sometimes(dice, 0.3)
    most = dice.choice((None, 2, 4, 8))
    return PricedOffer(
        id=f"o{i}",
        usd_per_hour=Decimal(f"{dice.uniform(0.5, 6):.4f}"),
        max_nodes=most,
        quota_per_node={"q": Decimal(dice.randint(0, 3))},
        provider=f"p{dice.randint(0, 1)}",
        gpu=f"g{dice.randint(0, 2)}",
        zone=dice.choice(("", "a", "b")),
        market="spot" if spot else "on_demand",
        interruptions_per_hour=0.2 * spot,
        recovery_hours=0.25,
        billing=Billing.RESERVED if reserved else Billing.RUNNING,
        committed_nodes=dice.randint(0, min(2, most or 0)) * reserved,
        lot_nodes=dice.choice((1, 1, 1, 1, 2)),
    )


def _demand(dice: Random, i: int) -> Demand:
    return Demand(
        name=f"c{i}",
        requests_per_second=round(dice.uniform(0.2, 4), 3),
        deadline_hours=dice.choice((1.0, 9.0, 24.0)) if _sometimes(dice, 0.25) else None,
        kv_gb_per_request=round(dice.uniform(0.05, 0.5), 3),
    )


def _column(dice: Random, offer: PricedOffer, k: int, classes: tuple[Demand, ...]) -> Column:
    worth = float(offer.usd_per_hour) * dice.uniform(0.5, 1.5)
    rates = {c.name: round(worth * dice.uniform(0.3, 1.5), 3) for c in classes if _sometimes(dice, 0.85)}
    egress = {c.name: Decimal("0.00004") for c in classes if _sometimes(dice, 0.1)}
    boot = dice.choice((0.0, 0.0, 600.0, 3600.0))
    return Column(
        offer=offer.id,
        configuration=f"k{k}",
        requests_per_second=rates,
        usd_per_request=egress,
        boot_seconds=boot,
    )


def _services(dice: Random, problem: Problem) -> Problem:
    if not _sometimes(dice, 0.3):
        return problem
    names = [c.name for c in problem.classes if _sometimes(dice, 0.8)]
    api = Service(
        id="api",
        usd_per_request={name: Decimal(f"{dice.uniform(0.0001, 0.001):.6f}") for name in names},
        max_requests_per_second=dice.choice((None, 1.0, 3.0)),
        max_tokens_per_second=dice.choice((None, 1500.0)),
        tokens_per_request={name: float(dice.randint(200, 2000)) for name in names},
        provider="p0",
        zone=dice.choice(("", "a")),
    )
    return replace(problem, services=(api,))


def _periods(dice: Random, problem: Problem) -> Problem:
    if not _sometimes(dice, 0.4):
        return problem

    def rates() -> dict[str, float]:
        factor = dice.choice((0.0, 0.4, 1.0, 1.6))
        return {
            c.name: round(c.requests_per_second * factor * dice.uniform(0.6, 1), 3) for c in problem.classes
        }

    hours = dice.choice(((12.0, 12.0), (8.0, 8.0, 8.0), (5.0, 3.5, 15.5)))
    later = tuple(Period(name=f"t{i}", hours=h, requests_per_second=rates()) for i, h in enumerate(hours[1:]))
    return replace(problem, periods=(Period(name="now", hours=hours[0]), *later))


def _share_limits(dice: Random, problem: Problem) -> Problem:
    limits = []
    if _sometimes(dice, 0.3):
        most, trait = dice.choice((0.4, 0.6, 0.75)), dice.choice(TRAITS)
        limits.append(ShareLimit(id="spread", trait=trait, at_most=most))
    if _sometimes(dice, 0.2):
        least = dice.choice((0.2, 0.5))
        names = (problem.classes[0].name,)
        markets = sorted({o.market for o in problem.offers})
        limits.append(
            ShareLimit(id="some", trait=Trait.MARKET, values=(markets[-1],), classes=names, at_least=least)
        )
    return replace(problem, share_limits=tuple(limits))


def _losses(dice: Random, problem: Problem) -> Problem:
    if not _sometimes(dice, 0.35):
        return problem
    loss = Loss(id="any", trait=dice.choice(TRAITS), kept_share=dice.choice((0.3, 0.5, 0.8)))
    return replace(problem, losses=(loss,))


def _parts(dice: Random, problem: Problem) -> Problem:
    """Nodes of an offer in halves and quarters, or in halves and thirds."""
    if not _sometimes(dice, 0.25):
        return problem
    split = dice.choice(problem.offers).id
    small = 3 if len(problem.columns) % 2 else 4
    columns = tuple(
        replace(c, parts_per_node=dice.choice((1, 2, small))) if c.offer == split else c
        for c in problem.columns
    )
    return replace(problem, columns=columns)


def _roles(dice: Random, problem: Problem) -> Problem:
    """Prefill on one offer, decode on another, over a link or within a network."""
    if not _sometimes(dice, 0.25):
        return problem
    first, second = (o.id for o in dice.sample(problem.offers, 2))
    roles = {first: Role.PREFILL, second: Role.DECODE}
    columns = tuple(
        replace(c, role=roles.get(c.offer, Role.WHOLE), kv_format=dice.choice(("", "", "x")))
        for c in problem.columns
    )
    links = [Link(source=first, target=second, gb_per_second=dice.choice((None, 0.3, 2.0)))]
    if _sometimes(dice, 0.3):
        links.append(Link(source=second, target=first, usd_per_gb=Decimal("0.001")))
    if _sometimes(dice, 0.3):
        links[0] = replace(links[0], usd_per_gb=Decimal("0.0005"))
    elif len(links) == 1 and links[0].gb_per_second is None:
        offers = (replace(o, network="net") if o.id in roles else o for o in problem.offers)
        return replace(problem, columns=columns, offers=tuple(offers))
    return replace(problem, columns=columns, links=tuple(links))


def _migration(dice: Random, problem: Problem) -> Problem:
    if not _sometimes(dice, 0.25):
        return problem
    runs = [c for c in problem.columns if _sometimes(dice, 0.5)]
    running = tuple(
        Running(offer=c.offer, configuration=c.configuration, nodes=dice.randint(0, 2)) for c in runs
    )
    migration = Migration(
        running=running,
        usd_per_added_node=Decimal(dice.choice(("0", "2", "20"))),
        usd_per_removed_node=Decimal(dice.choice(("0", "1"))),
        max_changed_nodes=dice.choice((None, None, 3, 6)),
    )
    return replace(problem, migration=migration)


def _limits(dice: Random, problem: Problem) -> Problem:
    def sum_or_none(part: float, most: int) -> Decimal | None:
        return Decimal(dice.randint(8, most)) if _sometimes(dice, part) else None

    providers = {o.provider for o in problem.offers}
    return replace(
        problem,
        budget_usd_per_hour=sum_or_none(0.2, 30),
        mean_budget_usd_per_hour=sum_or_none(0.1, 30),
        provider_budgets_usd_per_hour={"p0": Decimal(9)} if "p0" in providers and dice.random() < 0.2 else {},
        max_pools=dice.choice((None, None, None, None, 3, 4)),
        assumed_max_nodes=6,
    )


def _fastest(dice: Random, problem: Problem) -> Problem:
    """Now and then the question is how much a budget serves."""
    if not _sometimes(dice, 0.2):
        return problem
    return replace(problem, mode=Mode.MAX_THROUGHPUT, budget_usd_per_hour=Decimal(dice.randint(3, 20)))


def _quality(dice: Random, problem: Problem) -> Problem:
    """Places that give less than all of the score, and classes that ask for a mean; drawn last, so that the rest stays."""
    if not _sometimes(dice, 0.3):
        return problem

    def some() -> dict[str, float]:
        return {c.name: dice.choice((0.8, 0.9, 0.97, 1.01)) for c in problem.classes if _sometimes(dice, 0.6)}

    return replace(
        problem,
        classes=tuple(replace(c, mean_quality=dice.choice((None, 0.9, 0.96))) for c in problem.classes),
        columns=tuple(replace(c, quality=some()) for c in problem.columns),
        services=tuple(replace(s, quality=some()) for s in problem.services),
    )


def _sheds(dice: Random, problem: Problem) -> Problem:
    """Classes of which some may be turned away; drawn last, so that the rest stays."""
    if not _sometimes(dice, 0.5):
        return problem

    def some(c: Demand) -> Demand:
        usd = dice.choice((None, Decimal(f"{dice.uniform(0.00002, 0.0004):.6f}")))
        return replace(c, shed_usd_per_request=usd, max_shed_share=dice.choice((1.0, 0.5, 0.1)))

    return replace(problem, classes=tuple(map(some, problem.classes)))


def _ramps(dice: Random, problem: Problem) -> Problem:
    """Offers of which only so many nodes may be added or removed at once; drawn last, so that the rest stays."""
    if not problem.periods or not _sometimes(dice, 0.5):
        return problem

    def some(offer: PricedOffer) -> PricedOffer:
        lots = [None, 0, offer.lot_nodes, 2 * offer.lot_nodes]
        return replace(offer, max_added_nodes=dice.choice(lots), max_removed_nodes=dice.choice(lots))

    return replace(problem, offers=tuple(map(some, problem.offers)))


def _dear_pools(dice: Random, problem: Problem) -> Problem:
    """Pools that cost something besides their nodes; drawn apart, so that the rest stays."""
    usd = Decimal(dice.choice(("0.0003", "0.25", "1.5")))
    return replace(problem, usd_per_pool_hour=usd) if _sometimes(dice, 0.3) else problem
