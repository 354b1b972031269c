"""On which nodes the replicas of each configuration lie: on one, or in stages on several of one place. Wires; which configurations
are worth trying is decided elsewhere."""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from hetops.app.candidates import Candidates
from hetops.app.sharing import Sharing
from hetops.app.terms import interruptions
from hetops.domain.configuration import Configuration, StageGpus
from hetops.domain.offer import Offer
from hetops.errors import SpecError, UsageError
from hetops.spec.load import place


@dataclass(frozen=True, slots=True, kw_only=True)
class Laid:
    """Replicas of a configuration on nodes that are rented together."""

    configuration: Configuration
    nodes: Mapping[str, int]
    """By offer, that of the first stage first."""
    replicas: int
    """On all of them together."""
    parts: int = 1
    """Above 1, it is one such part of a node."""

    @property
    def offer(self) -> str:
        """The offer of the first stage."""
        return next(iter(self.nodes))

    @property
    def also(self) -> dict[str, int]:
        """What goes with one node of that offer."""
        counts = {**self.nodes, self.offer: self.nodes[self.offer] - 1}
        return {offer: count for offer, count in counts.items() if count}

    @property
    def name(self) -> str:
        """The configuration's id, with the other offers that tell it from the same one elsewhere."""
        others = [offer for offer in self.nodes if offer != self.offer]
        return " with ".join(filter(None, (self.configuration.id, " and ".join(others))))


def laid_out(c: Candidates, configurations: Sequence[Configuration], shared: Sharing) -> Iterator[Laid]:
    """Every configuration on every offer of its GPU type, as many replicas as a node, or a part of one, has room for; then every
    way of pipelines over several nodes.

    Raises:
        SpecError: these are asked for with `[policy.migration]`.
        UsageError: these are asked for from a fleet that runs.
    """
    within = [one for one in configurations if not one.stages]
    for offer in c.gathered.selection.offers:
        serves = interruptions(c.spec.policy, offer).lost_share < 1
        for one in within if serves else ():
            room = shared.room(offer, one)
            if room.replicas:
                yield Laid(configuration=one, nodes={offer.id: 1}, replicas=room.replicas, parts=room.parts)
    if c.spec.engine.across_nodes is not None:
        _demand_possible(c)
        yield from _over_places(c, [one for one in configurations if one.stages], shared)


def _over_places(c: Candidates, pipelines: Sequence[Configuration], shared: Sharing) -> Iterator[Laid]:
    """Every way that the stages can lie on nodes of one place; of offers that differ in nothing but size and price, the cheapest."""
    places: dict[str, list[Offer]] = defaultdict(list)
    for offer in c.gathered.selection.offers:
        places[offer.place].append(offer)
    for offers in places.values():
        homes = _Homes(c, offers, shared)
        for one in pipelines:
            counts = Counter(one.stages)
            for chosen in itertools.product(*(homes.of(stage) for stage in counts)):
                yield from homes.laid(one, dict(zip(counts, chosen, strict=True)))


def _demand_possible(c: Candidates) -> None:
    if c.spec.policy.migration is not None:
        raise SpecError(
            f"{place(c.loaded, 'engine', 'across_nodes')}: replicas over several nodes are planned from nothing as yet",
            hint="leave [engine.across_nodes] or [policy.migration] out",
        )
    if c.held.running is not None:
        raise UsageError(
            "replicas over several nodes are planned from nothing as yet",
            hint="leave --from-running or [engine.across_nodes] out",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Home:
    """Nodes of an offer for stages of one size."""

    offer: Offer
    stages: int
    """On each of its nodes."""
    lost_share: float
    most_stages: int
    """On all nodes that there are."""

    def beats(self, other: _Home) -> bool:
        """Whether its nodes do for stages whatever the other's do, for no more."""
        mine, others = self.offer.total_usd_per_hour, other.offer.total_usd_per_hour
        return (
            self.offer.market is other.offer.market
            and mine * other.stages <= others * self.stages
            and other.stages % self.stages == 0
            and self.lost_share <= other.lost_share
            and self.most_stages >= other.most_stages
        )


class _Homes:
    """The offers of a place, as homes of stages."""

    def __init__(self, c: Candidates, offers: Iterable[Offer], shared: Sharing) -> None:
        self._policy, self._shared = c.spec.policy, shared
        self._offers = tuple(offers)
        self._found: dict[StageGpus, tuple[_Home, ...]] = {}

    def of(self, stage: StageGpus) -> tuple[_Home, ...]:
        """Those that no other beats."""
        if stage not in self._found:
            every = [self._home(o, stage) for o in self._offers if o.gpu == stage.gpu]
            able = [one for one in every if one.stages and one.lost_share < 1]
            self._found[stage] = tuple(one for i, one in enumerate(able) if not _beaten(i, able))
        return self._found[stage]

    def _home(self, offer: Offer, stage: StageGpus) -> _Home:
        stages = offer.gpu_count // stage.tensor_parallel
        if offer.provider in self._shared.alone:
            stages = min(stages, 1)
        known = offer.limits.max_count
        nodes = self._policy.max_nodes_per_offer if known is None else known
        lost = interruptions(self._policy, offer).lost_share
        return _Home(offer=offer, stages=stages, lost_share=lost, most_stages=nodes * stages)

    def laid(self, one: Configuration, chosen: Mapping[StageGpus, _Home]) -> Iterator[Laid]:
        """As few replicas as leave no room for a stage free; nothing where one node has room for all stages, which are no pipeline over
        nodes, or where one is always on its way back."""
        counts = Counter(one.stages)
        replicas = math.lcm(*(home.stages // math.gcd(home.stages, counts[s]) for s, home in chosen.items()))
        nodes = {home.offer.id: replicas * counts[s] // home.stages for s, home in chosen.items()}
        lost = sum(home.lost_share * nodes[home.offer.id] for home in chosen.values())
        one_node = any(home.stages >= len(one.stages) for home in chosen.values()) and len(chosen) == 1
        if lost < 1 and not one_node:
            yield Laid(configuration=one, nodes=nodes, replicas=replicas)


def _beaten(i: int, able: Sequence[_Home]) -> bool:
    """Of equals the first stays."""
    return any(
        other.beats(able[i]) and (j < i or not able[i].beats(other)) for j, other in enumerate(able) if j != i
    )
