"""What a plan says of its policy: what its rules cost, who serves what after a loss, what is paid for, what it keeps. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal

from hetops.domain.configuration import Role
from hetops.domain.network import Network, Way, gb_per_hour
from hetops.domain.packing import cut_gpus
from hetops.domain.plan import Plan, PlannedPool
from hetops.domain.policy import LossCover, Migration, TermCost
from hetops.reports import quantities as q

_MOST_COVERS = 12
_MOST_WAYS = 12


def as_text(plan: Plan) -> str:
    """The sections in their order; empty for a plan without a policy."""
    sections = (
        _ways(plan),
        _covers(plan),
        "\n".join(
            (*_spot(plan), *_services(plan), *_rentals(plan), *migration(plan), *map(cost, plan.term_costs))
        ),
    )
    return "\n\n".join(s for s in sections if s)


def _ways(plan: Plan) -> str:
    """The ways that requests take: how long, how much comes back, what that costs."""
    if plan.network is None:
        return ""
    rows = [row for way in plan.network.ways if (row := _way_row(way, plan.network, plan))]
    told = q.table(
        ("from", "to", "round trip", "GB an hour", "$/GB", "$/hour"), rows[:_MOST_WAYS], right=(2, 3, 4, 5)
    )
    more = len(rows) - _MOST_WAYS
    cut = f"and {more} more ways (--json has them)\n" if more > 0 else ""
    return f"{told}\n{cut}TTFT above is as seen there, with one round trip in it"


def _way_row(way: Way, network: Network, plan: Plan) -> tuple[str, ...] | None:
    """None for a way that nothing takes."""
    tokens = {c.name: c.output_tokens.mean for c in plan.workload.classes if c.origin == way.origin}
    taken = [s for s in plan.answers if s.pool == way.destination and s.workload_class in tokens]
    if not taken:
        return None
    second = sum(s.requests_per_second * tokens[s.workload_class] for s in taken)
    weight = f"{gb_per_hour(second, network.bytes_per_output_token):,.3g}"
    trip = q.seconds(way.round_trip_seconds)
    return way.origin, way.destination, trip, weight, f"{way.usd_per_gb}", q.usd(way.usd_per_hour)


def _covers(plan: Plan) -> str:
    """After each loss, what is still served of the classes and where."""
    rows = [row for cover in plan.covers for row in _cover_rows(cover, plan)]
    if not rows:
        return ""
    told = q.table(("without", "class", "served", "then goes to"), rows[:_MOST_COVERS], right=(2,))
    more = len(rows) - _MOST_COVERS
    return f"{told}\nand {more} more lines (--json has them)" if more > 0 else told


def _cover_rows(cover: LossCover, plan: Plan) -> Iterator[tuple[str, ...]]:
    lost = " or ".join(cover.lost)
    decoding = {pool.name for pool in plan.pools if pool.configuration.role is Role.DECODE}
    for name in dict.fromkeys(s.workload_class for s in cover.shares):
        shares = sorted((s for s in cover.shares if s.workload_class == name), key=lambda s: -s.share)
        to = ", ".join(f"{s.pool} {q.share(s.share)}" for s in shares if s.share > 0)
        served = sum(s.share for s in shares if s.pool not in decoding)
        yield lost, name, q.share(min(served, 1.0)), to


def _spot(plan: Plan) -> Iterator[str]:
    for pool in plan.pools:
        if pool.lost_share > 0:
            yield (
                f"Interruptions: {pool.name} {pool.interruptions_per_hour:.3g} times an hour, back after "
                f"{pool.recovery_minutes:g} min; {q.share(pool.lost_share)} of its capacity is not counted on"
            )


def _services(plan: Plan) -> Iterator[str]:
    """What each service is there for, and the most that its limits let it cost."""
    for one in plan.services:
        service = one.service
        limits = ((service.requests_per_minute, "requests"), (service.tokens_per_minute, "tokens"))
        most = ", ".join(f"{count:,.10g} {what}" for count, what in limits if count is not None)
        key = f"; its key is read from ${service.api_key_variable}" if service.api_key_variable else ""
        does = f"costs {q.usd(one.usd_per_hour)} /h" if one.usd_per_hour else "stands by"
        yield (
            f"Overflow: {one.name} {does}, takes {', '.join(one.serves)} when pools are full or gone; "
            f"{q.usd(one.usd_per_hour_at_limits)} /h at its limits ({most} a minute){key}"
        )


def _rentals(plan: Plan) -> Iterator[str]:
    for rental in plan.rentals:
        idle = plan.idle_nodes(rental)
        own = [pool for pool in plan.pools if rental.offer.id in {offer.id for offer in pool.offers}]
        sharers = "models" if len(plan.models) > 1 else "pools"
        paid = f"shared by {sharers}" if any(p.parts_per_node > 1 for p in own) else "had as a whole"
        if rental.committed_nodes:
            paid = f"{rental.committed_nodes} paid for anyway"
        usd = rental.offer.total_usd_per_hour * idle.numerator / idle.denominator
        wasted = f", {q.part(idle)} idle for {q.usd(usd)} /h" if idle else ""
        used = q.part(rental.nodes - idle)
        yield f"Paid for as a whole: {q.many(rental.nodes, 'node')} of {rental.offer.id} ({paid}), {used} in use{wasted}"
        yield from _cut(own)


def _cut(pools: Sequence[PlannedPool]) -> Iterator[str]:
    """How the GPUs of an offer are cut; those that are cut alike are told together."""
    profiles = {pool.name: mig.profile for pool in pools if (mig := pool.configuration.mig)}
    for names, count in Counter(cut_gpus(pools)).items():
        each = (f"{n} x {profiles[name]} for {name}" for name, n in Counter(names).items())
        yield f"  {q.many(count, 'GPU')} cut into {', '.join(each)}"


def migration(plan: Plan) -> Iterator[str]:
    """What of a fleet that ran it keeps, and what the changes count for; nothing where it begins from nothing."""
    terms = plan.migration
    if terms is None:
        return
    added, removed = terms.added(plan.nodes), terms.removed(plan.nodes)
    runs = terms.whole(terms.running)
    nodes = q.many(int(runs), "node") if runs.denominator == 1 else f"{q.part(runs)} nodes"
    yield (
        f"From the fleet that runs: keeps {q.part(runs - removed)} of {nodes}, adds {q.part(added)}, removes {q.part(removed)}"
        f"{_counted(terms)}"
    )
    free = terms.usd_per_hour_from_nothing
    if free is not None:
        less = plan.usd_per_hour - free
        told = f"{q.usd(less)} /h less" if less > 0 else "no less"
        yield f"A fleet from nothing would cost {q.usd(free)} /h, {told}"


def _counted(terms: Migration) -> str:
    limit = "" if terms.max_changed_nodes is None else f" (at most {terms.max_changed_nodes} may change)"
    if not terms.usd_per_hour:
        return limit
    return f"{limit}; the changes count for {q.usd(terms.usd_per_hour)} /h over {terms.horizon_hours:g} h"


def cost(term: TermCost) -> str:
    """`Bearing X costs $1.20 /h: $5.63 with it, $4.43 without it`."""
    text = f"{term.text[:1].upper()}{term.text[1:]}"
    if term.needed:
        return f"{text}: without it there is no fleet"
    if term.usd_per_hour_without is None:
        return f"{text}: what it costs is not known, nothing was found without it"
    more = term.usd_per_hour - term.usd_per_hour_without
    verb = "costs" if more >= 0 else "saves"
    what = "nothing" if more == Decimal(0) else f"{q.usd(abs(more))} /h"
    return f"{text} {verb} {what}: {q.usd(term.usd_per_hour)} with it, {q.usd(term.usd_per_hour_without)} without it"
