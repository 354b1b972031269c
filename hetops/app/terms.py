"""The policy of a spec as terms of a problem: losses, shares, interruptions, what is held. Wires; decides what a rule means.

A rule that names what nobody offers now has nothing to hold for, and is left out; a least share of it cannot be had.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from hetops.app.candidates import Candidates
from hetops.app.naming import Place, values_of
from hetops.app.twins import key_of
from hetops.domain.offer import Market, Offer
from hetops.domain.percent import percent
from hetops.domain.policy import LossRule, ShareRule
from hetops.domain.units import MINUTES_PER_HOUR
from hetops.errors import InfeasibleError
from hetops.solver.problem import Column, PricedOffer
from hetops.solver.terms import Billing, Loss, Migration, Running, ShareLimit
from hetops.spec.policy import MigrationSpec, PolicySpec, ShareSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Interruptions:
    """How often a node of an offer is taken away, and how long its place then stays empty."""

    per_hour: float = 0.0
    recovery_minutes: float = 0.0
    known: bool = True
    """False where nobody says how often, or for how long."""

    @property
    def lost_share(self) -> float:
        """The share of the time in which a node is on its way back."""
        return self.per_hour * self.recovery_minutes / MINUTES_PER_HOUR


def interruptions(policy: PolicySpec, offer: Offer) -> Interruptions:
    """What the plan counts on: the offer's own figure before the policy's; none but on the spot market."""
    if offer.market is not Market.SPOT:
        return Interruptions()
    fitting = [one for one in policy.interruptions if not one.providers or offer.provider in one.providers]
    told = fitting[-1] if fitting else None
    own = offer.interruptions_per_hour
    per_hour = own if own is not None else (told.per_hour if told else None)
    return Interruptions(
        per_hour=per_hour or 0.0,
        recovery_minutes=told.recovery_minutes if told else 0.0,
        known=per_hour is not None and told is not None,
    )


def priced(c: Candidates, offer: Offer) -> PricedOffer:
    """The offer as the solver knows it."""
    limits, spot = offer.limits, interruptions(c.spec.policy, offer)
    whole = offer.market in (Market.RESERVED, Market.CAPACITY_BLOCK)
    lot = limits.max_count if offer.market is Market.CAPACITY_BLOCK else None
    return PricedOffer(
        id=offer.id,
        usd_per_hour=offer.total_usd_per_hour,
        max_nodes=limits.max_count,
        quota_per_node={share.group: Decimal(repr(share.per_node)) for share in limits.quotas},
        provider=offer.provider,
        gpu=offer.gpu,
        gpu_count=offer.gpu_count,
        zone=offer.place,
        market=offer.market,
        interruptions_per_hour=spot.per_hour,
        recovery_hours=spot.recovery_minutes / MINUTES_PER_HOUR,
        billing=Billing.RESERVED if whole else Billing.RUNNING,
        committed_nodes=c.held.committed.get(offer.id, 0),
        lot_nodes=lot or 1,
        network=offer.place if c.spec.engine.disaggregation else "",
    )


def loss_rules(c: Candidates, places: Iterable[Place]) -> tuple[LossRule, ...]:
    """What the fleet must bear to lose."""
    places, names = tuple(places), Counter[str]()
    found = []
    for one in c.spec.policy.survive:
        values = values_of(one.losing, one.names, places)
        if values or not one.names:
            id_ = _unique(f"losing {_words(one.losing, one.names)}", names)
            found.append(LossRule(id=id_, trait=one.losing, values=values, kept_share=one.kept_share))
    return tuple(found)


def share_rules(c: Candidates, places: Iterable[Place]) -> tuple[ShareRule, ...]:
    """How classes must be spread.

    Raises:
        InfeasibleError: a least share of what nobody offers.
    """
    places, names = tuple(places), Counter[str]()
    found = []
    for index, one in enumerate(c.spec.policy.shares):
        classes = _classes(c, one)
        values = values_of(one.of, one.names, places)
        if not classes or (one.names and not values):
            _demand_possible(one, index, classes)
            continue
        id_ = _unique(_words(one.of, one.names), names)
        everyone = len(classes) == len(c.workload.classes)
        found.append(
            ShareRule(
                id=id_,
                trait=one.of,
                values=values,
                classes=() if everyone else classes,
                at_most=one.at_most,
                at_least=one.at_least,
            )
        )
    return tuple(found)


def _demand_possible(one: ShareSpec, index: int, classes: tuple[str, ...]) -> None:
    if classes and one.at_least > 0:
        raise InfeasibleError(
            f"policy.shares[{index}] wants at least {percent(one.at_least)} on {_words(one.of, one.names)}, and nothing of it is on offer",
            hint="widen offers.markets or [providers], or lower at_least",
        )


def _classes(c: Candidates, one: ShareSpec) -> tuple[str, ...]:
    """Names of the classes that a rule holds for."""
    return tuple(
        k.name
        for k in c.workload.classes
        if (not one.classes or k.named_by(one.classes)) and one.priority in (None, k.priority)
    )


def _words(trait: str, names: tuple[str, ...]) -> str:
    return f"{trait} {' or '.join(names)}" if names else f"any {trait}"


def _unique(id_: str, seen: Counter[str]) -> str:
    """The id, numbered where another rule has it already."""
    seen[id_] += 1
    return id_ if seen[id_] == 1 else f"{id_} ({seen[id_]})"


def losses(rules: Iterable[LossRule]) -> tuple[Loss, ...]:
    """The rules in the solver's words."""
    return tuple(Loss(id=r.id, trait=r.trait, values=r.values, kept_share=r.kept_share) for r in rules)


def share_limits(rules: Iterable[ShareRule]) -> tuple[ShareLimit, ...]:
    """The rules in the solver's words."""
    return tuple(
        ShareLimit(
            id=r.id,
            trait=r.trait,
            values=r.values,
            classes=r.classes,
            at_most=r.at_most,
            at_least=r.at_least,
        )
        for r in rules
    )


def migration(c: Candidates, columns: Iterable[Column]) -> Migration | None:
    """The way out of the fleet that runs, which stands on some of the columns; None where the plan begins from nothing."""
    if c.held.running is None:
        return None
    terms = c.spec.policy.migration or MigrationSpec()
    parts = {column.key: column.parts_per_node for column in columns}
    return Migration(
        running=tuple(
            Running(
                offer=p.offer.id,
                configuration=key_of(p)[1],
                # What runs is on whole nodes, which may be all their parts now.
                nodes=p.nodes * parts[key_of(p)] // p.parts_per_node,
            )
            for p in c.held.running.pools
        ),
        usd_per_added_node=terms.usd_per_added_node,
        usd_per_removed_node=terms.usd_per_removed_node,
        horizon_hours=terms.horizon_hours,
        max_changed_nodes=terms.max_changed_nodes,
    )


def standing_columns(c: Candidates, columns: Iterable[Column]) -> Iterator[Column]:
    """A column without rates for each pool that runs and that the plan has no use for: so that its end is counted."""
    known = {column.key for column in columns}
    for pool in c.held.running.pools if c.held.running else ():
        if key_of(pool) not in known:
            yield Column(
                offer=pool.offer.id,
                configuration=key_of(pool)[1],
                replicas_per_node=pool.replicas_per_node,
                parts_per_node=pool.parts_per_node,
                requests_per_second={},
            )
