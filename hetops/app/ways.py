"""The ways between origins and what may serve them, as `[[network]]` tells them. Wires; decides which table counts for a way.

What nobody says counts as nothing, and the plan warns.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from hetops.app.candidates import Candidates
from hetops.app.naming import means, places_called
from hetops.domain.network import BYTES_PER_OUTPUT_TOKEN, Network, Way
from hetops.domain.plan import Plan
from hetops.domain.workload import WorkloadClass
from hetops.solver.solution import Solution
from hetops.spec.fields import NetworkSpec

_BYTES_PER_GB = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the spec says of a way; None where it says nothing."""

    round_trip_seconds: float | None = None
    usd_per_gb: Decimal | None = None

    @property
    def unsaid(self) -> tuple[str, ...]:
        """What is taken as nothing because nobody says it."""
        figures = (("round_trip_seconds", self.round_trip_seconds), ("usd_per_gb", self.usd_per_gb))
        return tuple(name for name, value in figures if value is None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """The ways between every origin and every place, by the place's offer id or service name; none where the spec has no origins."""

    told: Mapping[tuple[str, str], Told] = field(default_factory=dict)
    bytes_per_output_token: float = BYTES_PER_OUTPUT_TOKEN

    def round_trip_seconds(self, k: WorkloadClass, place: str) -> float:
        """Between where the class comes from and the place."""
        return self.told.get((k.origin, place), Told()).round_trip_seconds or 0.0

    def round_trips(self, classes: Iterable[WorkloadClass]) -> Mapping[str, Sequence[float]]:
        """The distinct ones of each class, over all places; nothing for a class without an origin."""
        found: defaultdict[str, set[float]] = defaultdict(set)
        for (origin, _), way in self.told.items():
            found[origin].add(way.round_trip_seconds or 0.0)
        return {k.name: sorted(found[k.origin]) for k in classes if k.origin in found}

    def usd_per_request(self, k: WorkloadClass, offer: str) -> Decimal:
        """Egress of a mean answer."""
        usd = self.told.get((k.origin, offer), Told()).usd_per_gb or Decimal(0)
        tokens, each = (Decimal(repr(float(n))) for n in (k.output_tokens.mean, self.bytes_per_output_token))
        return usd * tokens * each / _BYTES_PER_GB


def ways_of(c: Candidates) -> Ways:
    """What the spec says of each way."""
    spec, running = c.spec, c.held.running
    offers = {o.id: o for o in c.gathered.selection.offers}
    held = (*(p.offer for p in (running.pools if running else ())), *(r.offer for r in c.held.reserved))
    offers |= {o.id: o for o in held if o.id not in offers}
    called = {id_: places_called(offer) for id_, offer in offers.items()}
    called |= {service.name: (service.name,) for service in spec.overflow}
    alike = dict.fromkeys(called.values())
    told = {
        (origin.name, names): _told(origin.name, names, spec.network)
        for origin in spec.origins
        for names in alike
    }
    return Ways(
        told={(o.name, id_): told[o.name, names] for o in spec.origins for id_, names in called.items()},
        bytes_per_output_token=spec.workload.bytes_per_output_token,
    )


def _told(origin: str, names: tuple[str, ...], tables: Iterable[NetworkSpec]) -> Told:
    found = Told()
    for table in tables:
        fits = not table.places or any(means("place", word, names) for word in table.places)
        if fits and (not table.origins or origin in table.origins):
            figures = {name: getattr(table, name) for name in ("round_trip_seconds", "usd_per_gb")}
            found = replace(found, **{name: value for name, value in figures.items() if value is not None})
    return found


def network(
    c: Candidates, ways: Ways, solution: Solution, names: Mapping[tuple[str, str], str]
) -> Network | None:
    """The ways of a plan, with what its answers cost on them; `names` are those of its pools and services, by offer and configuration."""
    if not c.spec.origins:
        return None
    origin_of = {k.name: k.origin for k in c.workload.classes}
    paid: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for share in solution.shares:
        paid[origin_of[share.workload_class], names[share.key]] += share.usd_per_hour
    return Network(
        bytes_per_output_token=ways.bytes_per_output_token,
        ways=tuple(
            _way(ways.told[origin, place], origin, name, paid[origin, name] if configuration else None)
            for origin in dict.fromkeys(origin_of.values())
            for (place, configuration), name in names.items()
        ),
    )


def _way(told: Told, origin: str, destination: str, usd_per_hour: Decimal | None) -> Way:
    """A way of the plan; None where it ends at a service, whose price has egress in it."""
    egress = usd_per_hour is not None
    return Way(
        origin=origin,
        destination=destination,
        round_trip_seconds=told.round_trip_seconds or 0.0,
        usd_per_gb=(told.usd_per_gb or Decimal(0)) if egress else Decimal(0),
        usd_per_hour=usd_per_hour or Decimal(0),
    )


def unsaid(ways: Ways, plan: Plan) -> Iterator[str]:
    """Warnings of ways that requests take and of which nobody says how long they are, or what bytes cost on them."""
    classes = {k.name: k for k in plan.workload.classes}
    pools = {p.name: p.offer for p in plan.pools}
    untold: defaultdict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    for share in plan.shares:
        offer, origin = pools.get(share.pool), classes[share.workload_class].origin
        told = ways.told.get((origin, offer.id if offer else share.pool))
        for name in told.unsaid if told else ():
            if offer or name == "round_trip_seconds":
                untold[name, origin][offer.place if offer else share.pool] = None
    for (name, origin), places in untold.items():
        yield (f"nobody says {name} between {origin} and {', '.join(places)}: it is taken as 0 ([[network]])")
