"""What is held already, as offers: nodes that the user has reserved, and a fleet that runs. Decides what of it can be kept.

Asks nobody: a reservation is what the spec says, a running fleet what its plan says.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from hetops.app.offers import Gathered
from hetops.domain.offer import Availability, AvailabilityState, Limits, Market, Offer
from hetops.domain.plan import Plan
from hetops.errors import SpecError, UnknownNameError
from hetops.offers.select import Reason
from hetops.spec.fields import LoadedSpec, ReservedSpec
from hetops.spec.load import place

_SOLD_OUT = (Reason.NONE_LEFT, Reason.QUOTA)
"""Why an offer may not be chosen anew, though nodes of it that run may stay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserved:
    """Nodes that are paid for already, as an offer of their own."""

    offer: Offer
    nodes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What is there before anything is rented."""

    reserved: tuple[Reserved, ...] = ()
    running: Plan | None = None
    """The fleet that runs; None plans from nothing."""

    @property
    def committed(self) -> Mapping[str, int]:
        """Nodes that are paid for already, by offer."""
        return {one.offer.id: one.nodes for one in self.reserved}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stocked:
    """Offers with what is held of them, and what that is."""

    gathered: Gathered
    held: Held = field(default_factory=Held)


def with_held(loaded: LoadedSpec, gathered: Gathered, running: Plan | None) -> Stocked:
    """The offers, those that are reserved among them, as many of each as run at least.

    Raises:
        SpecError: a reservation of an offer that nobody makes, or of several.
    """
    reserved = tuple(_reserved(loaded, gathered))
    twins = {one.offer.id: one.offer for one in reserved}
    selection = gathered.selection
    offers = (*(o for o in selection.offers if o.id not in twins), *twins.values())
    found = replace(gathered, selection=replace(selection, offers=offers))
    if running is not None:
        found = _with_running(found, running)
    return Stocked(gathered=found, held=Held(reserved=reserved, running=running))


def _reserved(loaded: LoadedSpec, gathered: Gathered) -> Iterator[Reserved]:
    """Each reservation as an offer of the market `reserved`."""
    seen: set[str] = set()
    offers = (*gathered.selection.offers, *(r.offer for r in gathered.selection.refused))
    for index, wanted in enumerate(loaded.spec.reserved):
        where = place(loaded, "reserved", index, "offer")
        base = _meant(wanted, offers, where)
        twin = replace(
            base,
            market=Market.RESERVED,
            usd_per_hour=base.usd_per_hour if wanted.usd_per_hour is None else wanted.usd_per_hour,
            limits=Limits(max_count=wanted.nodes),
            availability=Availability(state=AvailabilityState.AVAILABLE),
            interruptions_per_hour=None,
        )
        if twin.id in seen:
            raise SpecError(
                f"{where}: {wanted.offer} is reserved twice", hint="write all its nodes in one table"
            )
        seen.add(twin.id)
        yield Reserved(offer=twin, nodes=wanted.nodes)


def _meant(wanted: ReservedSpec, offers: Iterable[Offer], where: str) -> Offer:
    """The offer that a reservation is of: by its id, else by its SKU where that is sold in one place only."""
    offers, name = tuple(offers), wanted.offer.casefold()
    exact = [o for o in offers if o.id.casefold() == name]
    found = exact or [o for o in offers if o.sku.casefold() == name]
    if not found:
        known = sorted({o.id for o in offers} | {o.sku for o in offers})
        raise UnknownNameError("offer", wanted.offer, known, where=where)
    places = sorted({o.place for o in found})
    if len(places) > 1:
        ids = sorted({o.id for o in found})
        raise SpecError(
            f"{where}: {wanted.offer} is sold in {len(places)} places",
            details=ids[:8],
            hint=f"name one of them, for example {ids[0]}",
        )
    return min(found, key=lambda o: (o.market is not Market.ON_DEMAND, o.id))


def _with_running(gathered: Gathered, running: Plan) -> Gathered:
    """As many nodes of each offer, and as much of each quota, as the running fleet has; sold out is no reason to go."""
    nodes: Counter[str] = Counter()
    for pool in running.pools:
        nodes[pool.offer.id] += pool.nodes
    selection = gathered.selection
    kept = [r.offer for r in selection.refused if r.offer.id in nodes and r.reason in _SOLD_OUT]
    known = {o.id: o for o in (*selection.offers, *kept)}
    taken: defaultdict[str, float] = defaultdict(float)
    for id_, count in nodes.items():
        for share in known[id_].limits.quotas if id_ in known else ():
            taken[share.group] += share.per_node * count
    only_running = {offer.id for offer in kept}

    def at_least(offer: Offer) -> Offer:
        limits, runs = offer.limits, nodes[offer.id]
        most = runs if offer.id in only_running else limits.max_count
        return replace(
            offer,
            limits=replace(
                limits,
                max_count=None if most is None else max(most, runs),
                quotas=tuple(replace(share, left=share.left + taken[share.group]) for share in limits.quotas),
            ),
        )

    offers = tuple(at_least(offer) for offer in known.values())
    refused = tuple(r for r in selection.refused if r.offer.id not in only_running)
    return replace(gathered, selection=replace(selection, offers=offers, refused=refused))
