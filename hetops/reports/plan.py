"""A plan as text and as JSON. Shows the losers as well as the winner, and what every number rests on."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from hetops.domain import codec
from hetops.domain.configuration import Configuration, Role
from hetops.domain.day import DayCertificate
from hetops.domain.offer import Offer
from hetops.domain.percent import percent
from hetops.domain.performance import Evidence
from hetops.domain.plan import Alternative, Certificate, ClassForecast, Plan, PlannedPool, PoolForecast, Shed
from hetops.domain.service import PlannedService
from hetops.domain.workload import WorkloadClass
from hetops.reports import plan_terms, pruning
from hetops.reports import quantities as q


def as_json(plan: Plan) -> dict[str, Any]:
    """The plan document with its totals: `usd_per_hour` and `usd_per_month` (730 h)."""
    totals = {"usd_per_hour": str(plan.usd_per_hour), "usd_per_month": str(plan.usd_per_month)}
    return {**codec.to_builtins(plan), **totals}


def as_text(plan: Plan) -> str:
    """The plan for a terminal: considered, fleet, classes, policy, alternatives, certificate, evidence, warnings."""
    sections = (
        _head(plan),
        considered(plan),
        fleet(plan),
        _classes(plan),
        _handovers(plan),
        "\n".join(_qualities(plan)),
        _periods(plan),
        plan_terms.as_text(plan),
        _alternatives(plan.alternatives),
        _proof(plan),
        "\n".join(f"warning: {w}" for w in plan.warnings),
    )
    return "\n\n".join(s for s in sections if s) + "\n"


def fleet(plan: Plan) -> str:
    """The pools and the services in use with their cost, what answers cost on their way and pools besides their nodes, and the total."""
    used = (s for s in plan.services if s.usd_per_hour)
    rows = [*(_pool_row(pool, plan) for pool in plan.pools), *(_service_row(s, plan) for s in used)]
    for name, what, usd in (
        ("egress", "answers to where requests come from", plan.egress_usd_per_hour),
        ("pools themselves", f"{q.usd(plan.usd_per_pool_hour)} /h each", plan.pools_usd_per_hour),
    ):
        if usd:
            rows.append((name, "-", what, "-", "-", q.usd(usd), "-", "-"))
    headers = ("pool", "nodes", "offer", "replicas", "configuration", "$/hour", "requests", "sustains (80 %)")
    total = f"Total {q.usd_both(plan.usd_per_hour)} (730 h)"
    counted = f"With that it counts for {q.usd(plan.counted_usd_per_hour)} /h, which fleets are compared by"
    shedding = (*shed(plan.shed), counted) if plan.shed else ()
    return "\n".join((q.table(headers, rows, right=(1, 5, 6)), total, *shedding))


def shed(told: Iterable[Shed]) -> Iterator[str]:
    """What is turned away of each class."""
    for one in told:
        what = f"{q.share(one.share)} of {one.workload_class}, {q.rate(one.requests_per_second)}, turned away"
        yield f"{what}: counts for {q.usd(one.usd_per_hour)} /h at {one.usd_per_request} a request, which nobody is paid"


def _head(plan: Plan) -> str:
    workload = plan.workload
    classes = q.many(len(workload.classes), "class")
    line = f"{plan.deployment}: {plan.model}, {classes}, {q.rate(workload.requests_per_second)} requests from {workload.source}"
    notes = [f"  {note}" for note in workload.notes]
    return "\n".join([line, *notes])


def considered(plan: Plan) -> str:
    """What there was to choose from, and what was refused most."""
    refused = sum(r.count for r in plan.refusals)
    lines = [
        f"Considered {q.many(plan.offers_considered, 'offer')} and {q.many(plan.configurations_considered, 'configuration')};"
        f" {refused:,} refused",
        *(
            f"  {r.count:>5,}  {r.subject}: {r.reason}"
            for r in sorted(plan.refusals, key=lambda r: -r.count)[:6]
        ),
        *pruning.lines(plan.pruning),
    ]
    return "\n".join([f"Offers: {plan.coverage}" if plan.coverage else "", *lines]).strip()


def where(pool: PlannedPool) -> str:
    """What the nodes of a pool are rented as; where replicas are over several, how many go together: `1 a + 2 b`."""
    if not pool.also:
        return _rented_as(pool.offer)
    return " + ".join(f"{n / pool.nodes} {_rented_as(offer)}" for offer, n in pool.takes)


def _rented_as(offer: Offer) -> str:
    emulated = " (emulated)" if offer.emulated else ""
    return f"{offer.provider} {offer.sku} {offer.zone or offer.region} {offer.market}{emulated}"


def gpus(configuration: Configuration) -> str:
    """What one replica has: `4 H100-SXM`; of stages on several nodes what each has."""
    if not configuration.stages:
        return f"{configuration.gpu_count} {configuration.gpu}"
    alike = Counter(configuration.stages).items()
    return " + ".join(f"{n} x {one.tensor_parallel} {one.gpu}" for one, n in alike)


def nodes(pool: PlannedPool) -> str:
    """How many nodes a pool has; `3/8` are three eighths of a node."""
    return q.nodes(pool.nodes, pool.parts_per_node)


def what(pool: PlannedPool, plan: Plan) -> str:
    """What a replica of a pool serves, where the plan serves several models, and how it runs."""
    return f"{pool.configuration.model} {how(pool)}" if len(plan.models) > 1 else how(pool)


def how(pool: PlannedPool) -> str:
    """How one replica of a pool runs."""
    configuration = pool.configuration
    parallel = configuration.layout if configuration.stages else _within(configuration)
    alone = "" if configuration.role is Role.MIXED else f", {configuration.role} alone"
    apart = f", apart from {q.names(pool.apart_from)}" if pool.apart_from else ""
    return f"{configuration.engine} {parallel} {configuration.weights} {configuration.max_sequences} sequences{alone}{apart}"


def _within(configuration: Configuration) -> str:
    """How a replica within a node lies on its GPUs."""
    parallel = f"tp{configuration.tensor_parallel}"
    if configuration.attention_data_parallel > 1:
        parallel += f" attention dp{configuration.attention_data_parallel}"
    if configuration.pipeline_parallel > 1:
        parallel += f" pp{configuration.pipeline_parallel}"
    return parallel


def _pool_row(pool: PlannedPool, plan: Plan) -> tuple[str, ...]:
    return (
        pool.name,
        nodes(pool),
        where(pool),
        _replicas(pool),
        what(pool, plan),
        q.usd(pool.usd_per_hour),
        _served(pool.name, plan),
        _sustained(next((f for f in plan.pool_forecasts if f.pool == pool.name), None)),
    )


def _replicas(pool: PlannedPool) -> str:
    each = gpus(pool.configuration)
    return f"{pool.replicas} x ({each})" if pool.configuration.stages else f"{pool.replicas} x {each}"


def _sustained(forecast: PoolForecast | None) -> str:
    if forecast is None:
        return "-"
    f = forecast
    return q.within(f.requests_per_second, f.requests_per_second_low, f.requests_per_second_high, q.rate)


def _service_row(one: PlannedService, plan: Plan) -> tuple[str, ...]:
    """A pool without nodes."""
    at, model = f"{one.service.url} by the token", one.service.model
    return one.name, "-", at, "-", model, q.usd(one.usd_per_hour), _served(one.name, plan), "-"


def _served(name: str, plan: Plan) -> str:
    """The part of all requests that a pool or a service gets."""
    served = sum(s.requests_per_second for s in plan.loads if s.pool == name)
    whole = plan.workload.requests_per_second
    return q.share(served / whole if whole else 0.0)


def _classes(plan: Plan) -> str:
    forecasts = {f.workload_class: f for f in plan.forecasts}
    rows = [_class_row(c, forecasts.get(c.name), plan) for c in plan.workload.classes]
    headers = ("class", "requests", "in", "out", "TTFT (80 %)", "target", "TPOT (80 %)", "target", "goes to")
    return q.table(headers, rows, right=(1, 2, 3, 5, 7))


def _class_row(c: WorkloadClass, forecast: ClassForecast | None, plan: Plan) -> tuple[str, ...]:
    target, f = c.target, forecast
    ttft = q.within(f.ttft_seconds, f.ttft_seconds_low, f.ttft_seconds_high, q.seconds) if f else "-"
    tpot = q.within(f.tpot_seconds, f.tpot_seconds_low, f.tpot_seconds_high, q.seconds) if f else "-"
    lengths = q.tokens(c.input_tokens.mean), q.tokens(c.output_tokens.mean)
    return (
        c.name,
        q.rate(c.requests_per_second),
        *lengths,
        f"p{target.ttft_percentile:g} {ttft}",
        bound(target.ttft_seconds),
        f"p{target.tpot_percentile:g} {tpot}",
        bound(target.tpot_seconds),
        goes_to(c.name, plan) or "nowhere",
    )


def goes_to(name: str, plan: Plan) -> str:
    """The pools and services that requests of a class go to, then those that go on with them; empty where there are none."""
    first = ((s.pool, s.share) for s in plan.shares if s.workload_class == name)
    decoding: dict[str, float] = defaultdict(float)
    for one in (h for h in plan.handovers if h.workload_class == name):
        decoding[one.target] += one.share
    return ", then ".join(filter(None, (_largest_first(first), _largest_first(decoding.items()))))


def _largest_first(shares: Iterable[tuple[str, float]]) -> str:
    return ", ".join(f"{to} {q.share(share)}" for to, share in sorted(shares, key=lambda one: -one[1]))


def _handovers(plan: Plan) -> str:
    """Which pool hands which part of a class to which other."""
    rows = [
        (one.workload_class, one.source, one.target, q.share(one.share), q.rate(one.requests_per_second))
        for one in plan.handovers
    ]
    return (
        q.table(("class", "prefilled by", "decoded by", "share", "requests"), rows, right=(3, 4))
        if rows
        else ""
    )


def _qualities(plan: Plan) -> Iterator[str]:
    """What each class gets of the quality that it asks for on average."""
    for one in plan.forecasts:
        if one.mean_quality is not None and one.least_mean_quality is not None:
            yield (
                f"Quality: {one.workload_class} gets {percent(one.mean_quality, 2)} of the 16-bit score on average,"
                f" at least {percent(one.least_mean_quality, 2)} is asked for"
            )


def bound(seconds: float | None) -> str:
    """A target, or that there is none."""
    return "none" if seconds is None else q.seconds(seconds)


_MOST_PERIODS = 8
"""As many rates as one line bears; of more their course is drawn."""


def _periods(plan: Plan) -> str:
    """The rates of a trace's equal stretches, of which each class's busiest is planned for."""
    rows = [_period_row(c) for c in plan.workload.classes if c.requests_per_second_by_period]
    return q.table(("class", "busiest", "requests by period"), rows) if rows else ""


def _period_row(c: WorkloadClass) -> tuple[str, str, str]:
    rates = c.requests_per_second_by_period
    return c.name, f"{rates.index(max(rates)) + 1} of {len(rates)}", course(rates)


def course(rates: tuple[float, ...]) -> str:
    """Rates in their order."""
    if len(rates) <= _MOST_PERIODS:
        return ", ".join(q.rate(rate) for rate in rates)
    drawn = q.sparkline([Decimal(rate) for rate in rates], (Decimal(0), Decimal(max(rates))))
    return f"{drawn}  {q.rate(min(rates))} to {q.rate(max(rates))}"


_MOST_ALTERNATIVES = 10


def _alternatives(alternatives: tuple[Alternative, ...]) -> str:
    """The losers in their order, cheapest first; what no fleet exists for is told together."""
    found = [a for a in alternatives if a.usd_per_hour is not None]
    rows = [(a.description, q.usd(a.usd_per_hour or 0), _difference(a)) for a in found[:_MOST_ALTERNATIVES]]
    told = [q.table(("instead", "$/hour", "dearer by"), rows, right=(1, 2))] if rows else []
    if len(found) > len(rows):
        told.append(f"and {len(found) - len(rows)} dearer ones (--json has them)")
    none = [a.description for a in alternatives if a.usd_per_hour is None]
    if none:
        told.append(f"No fleet exists with: {', '.join(none)}")
    return "\n".join(told)


def _difference(alternative: Alternative) -> str:
    return "-" if alternative.difference_share is None else q.change(alternative.difference_share)


def proven_bound(proof: Certificate | DayCertificate) -> str:
    """`bound 3.1900`, and what fleets it is of."""
    return f"bound {proof.bound:.4f}{' of fleets in which all may share' if proof.all_may_share else ''}"


def _proof(plan: Plan) -> str:
    c = plan.certificate
    lines = [
        f"Proof: cost {c.objective:.4f}, {proven_bound(c)}, gap {percent(c.gap, 2)}; {len(c.checks)} rules checked in exact arithmetic;"
        f" {c.solver}, {c.solve_seconds:.2f} s; problem {c.problem_digest[:12]}",
        *_arithmetic(plan),
        *(f"Evidence: {evidence(e)}" for e in plan.evidence),
    ]
    return "\n".join(lines)


def _arithmetic(plan: Plan) -> Iterator[str]:
    """How near the plan comes to what its GPUs can do at all."""
    if plan.peak_uses:
        compute = max(plan.peak_uses, key=lambda use: use.compute)
        bandwidth = max(plan.peak_uses, key=lambda use: use.bandwidth)
        yield (
            f"Arithmetic: at most {q.share(compute.compute)} of a pool's peak compute ({compute.pool}) and "
            f"{q.share(bandwidth.bandwidth)} of its peak bandwidth ({bandwidth.pool}) is needed"
        )


def evidence(of: Evidence) -> str:
    """What a number rests on, in words."""
    margin = f", planned with {q.share(of.margin)} taken off" if of.margin else ""
    return f"{of.layer} ({of.source}){margin}"
