"""The problem once more as a model, for SCIP, written from what the fields mean and from nothing in `hetops.solver.rows`.

Unlike ours it counts requests per second, not shares of a class, leaves no column out, bounds nothing that the problem
does not bound, and rents every node through one variable of its offer. Run by `tests.solver.scip` in a process of its own.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from pyscipopt import Model, quicksum

from hetops.solver.problem import Column, Demand, Mode, PricedOffer, Problem
from hetops.solver.terms import Billing, Role, Scenario, Service, ShareLimit, Stretch

Variable = Any
Flow = tuple[Column | Service, Demand, Variable]
HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Served:
    """The flows of one stretch, as it is or after a loss: what each place serves and what goes over links."""

    flows: list[Flow] = field(default_factory=list)
    handed: dict[tuple[int, str, str], Variable] = field(default_factory=dict)
    """By link, KV format and class."""


class SecondModel:
    """Variables and rows of one problem; `model` is ready to be optimised when it is made."""

    def __init__(self, problem: Problem) -> None:
        self.problem, self.model = problem, Model()
        self.stretches: tuple[Stretch, ...] = problem.stretches
        self.window = sum(s.hours for s in self.stretches)
        self.scale = self._new() if problem.mode is Mode.MAX_THROUGHPUT else 1.0
        self.nodes = {(t, c.key): self._new("I") for t in range(len(self.stretches)) for c in problem.columns}
        self.paid = self._rents()
        self.as_asked = [self._flows(t, None) for t in range(len(self.stretches))]
        self.spent = [self._spent(t) for t in range(len(self.stretches))]
        self.opened = self._opened()
        self.shed = self._sheds()
        self._serves_demand()
        for scenario in problem.scenarios:
            for t in range(len(self.stretches)):
                self._bears(t, scenario)
        self._keeps_to_limits()
        for limit in problem.share_limits:
            for places in problem.places(limit.trait, limit.values).values():
                self._spreads(limit, places)
        for c in problem.classes:
            if c.mean_quality is not None:
                self._satisfies(c, c.mean_quality)
        self._pays(self._boots() + self._changes())

    def _new(self, kind: str = "C") -> Variable:
        return self.model.addVar(vtype=kind, lb=0.0)

    def _hold(self, constraint: Any) -> None:
        if constraint is not True:  # a sum of no variables is decided at once
            self.model.addCons(constraint if constraint is not False else quicksum([self._new()]) <= -1)

    # Nodes.

    def _rents(self) -> dict[tuple[int, str], Any]:
        """Nodes that are paid for, by stretch and offer: in lots, and the same at all times where they are reserved."""
        paid: dict[tuple[int, str], Any] = {}
        for offer in self.problem.offers:
            reserved = offer.billing is Billing.RESERVED
            parted = any(c.parts_per_node > 1 and _standing(c, offer.id) for c in self.problem.columns)
            whole = reserved or parted or offer.lot_nodes > 1
            lots = [self._new("I") for _ in (self.stretches[:1] if reserved else self.stretches)]
            for t in range(len(self.stretches)):
                rented = offer.lot_nodes * lots[0 if reserved else t]
                used = [
                    self.nodes[t, c.key] * (_standing(c, offer.id) / c.parts_per_node)
                    for c in self.problem.columns
                    if _standing(c, offer.id)
                ]
                self._hold(quicksum(used) <= rented)
                if not whole:  # all that is paid for are the nodes of some pool
                    self._hold(quicksum(used) >= rented)
                self._hold(rented <= self.problem.max_nodes(offer))
                self._hold(rented >= offer.committed_nodes)
                paid[t, offer.id] = rented
            self._ramps(offer, [paid[t, offer.id] for t in range(len(self.stretches))])
        return paid

    def _ramps(self, offer: PricedOffer, paid: list[Any]) -> None:
        """From each stretch to the next, and from the last to the first."""
        for before, after in zip(paid, (*paid[1:], paid[0]), strict=True):
            if len(paid) > 1 and offer.max_added_nodes is not None:
                self._hold(after - before <= offer.max_added_nodes)
            if len(paid) > 1 and offer.max_removed_nodes is not None:
                self._hold(before - after <= offer.max_removed_nodes)

    # What is served.

    def _flows(self, t: int, scenario: Scenario | None) -> Served:
        """Requests per second by place and class, as many as nodes have time for, services take and links carry."""
        lost = scenario.lost if scenario else frozenset[str]()
        served = Served()
        for column in (c for c in self.problem.columns if not any(_standing(c, id_) for id_ in lost)):
            own = [(column, c, self._new()) for c in self.problem.classes if column.rate(c.name) > 0]
            load = quicksum(v * (1.0 / column.rate(c.name)) for _, c, v in own)
            self._hold(load <= self._there(column) * self.nodes[t, column.key])
            served.flows.extend(own)
        for service in (s for s in self.problem.services if s.id not in lost):
            own_ = [
                (service, c, self._new()) for c in self.problem.classes if c.name in service.usd_per_request
            ]
            self._within(service, own_)
            served.flows.extend(own_)
        self._hand_over(served, lost)
        return served

    def _there(self, column: Column) -> float:
        """The part of its time in which a node may be planned with: all that it stands on is there."""
        away = 0.0
        for offer in self.problem.offers:
            nodes = _standing(column, offer.id) / column.parts_per_node
            if nodes:
                away += max(nodes, 1.0) * offer.interruptions_per_hour * offer.recovery_hours
        return (1.0 - self.problem.headroom) * (1.0 - away)

    def _within(self, service: Service, own: list[tuple[Service, Demand, Variable]]) -> None:
        if service.max_requests_per_second is not None:
            self._hold(quicksum(v for _, _, v in own) <= service.max_requests_per_second)
        if service.max_tokens_per_second is not None:
            tokens = quicksum(v * service.tokens_per_request.get(c.name, 0.0) * 1e-3 for _, c, v in own)
            self._hold(tokens <= service.max_tokens_per_second * 1e-3)

    def _hand_over(self, served: Served, lost: frozenset[str]) -> None:
        """What prefill of a format on an offer serves leaves it over links, what decode serves has come over them."""
        formats = sorted({c.kv_format for c in self.problem.columns})
        going: dict[tuple[Role, str, str, str], list[Variable]] = defaultdict(list)
        for k, link in enumerate(self.problem.links):
            if lost.isdisjoint(link.key):
                ways = {(k, f, c.name): self._new() for f in formats for c in self.problem.classes}
                served.handed.update(ways)
                for (_, f, name), v in ways.items():
                    going[Role.PREFILL, link.source, f, name].append(v)
                    going[Role.DECODE, link.target, f, name].append(v)
                size = {c.name: c.kv_gb_per_request for c in self.problem.classes}
                if link.gb_per_second is not None:
                    carried = quicksum(size[name] * v for (_, _, name), v in ways.items())
                    self._hold(carried <= link.gb_per_second)
        done: dict[tuple[Role, str, str, str], list[Variable]] = defaultdict(list)
        networks = {offer.id: offer.network for offer in self.problem.offers}
        joint: dict[tuple[str, str, str], list[Any]] = defaultdict(list)
        for place, c, v in served.flows:
            if not isinstance(place, Column) or place.role is Role.WHOLE:
                continue
            if network := networks[place.offer]:
                joint[network, place.kv_format, c.name].append(v if place.role is Role.PREFILL else -v)
            else:
                done[place.role, place.offer, place.kv_format, c.name].append(v)
        for flows in joint.values():
            self._hold(quicksum(flows) == 0)
        for end in {**going, **done}:
            self._hold(quicksum(done[end]) == quicksum(going[end]))

    def _sheds(self) -> dict[tuple[int, str], Any]:
        """Requests per second that are turned away, by stretch and class."""
        shed: dict[tuple[int, str], Any] = {}
        for t, stretch in enumerate(self.stretches):
            for c in self.problem.classes:
                may = self.problem.mode is Mode.MIN_COST and c.shed_usd_per_request is not None
                shed[t, c.name] = self._new() if may else 0.0
                if may:
                    self._hold(shed[t, c.name] <= c.max_shed_share * stretch.rates[c.name])
        return shed

    def _serves_demand(self) -> None:
        for c in self.problem.classes:
            if c.deadline_hours is not None:
                self._serves_in_time(c)
                continue
            for t, stretch in enumerate(self.stretches):
                due = stretch.rates[c.name] * self.scale - self.shed[t, c.name]
                self._hold(_begun(self.as_asked[t], c) == due)

    def _serves_in_time(self, c: Demand) -> None:
        """Requests of each stretch go to stretches that end no later than the deadline after it began, or to itself."""
        count, brought = len(self.stretches), defaultdict[int, list[Variable]](list)
        for t, stretch in enumerate(self.stretches):
            to = {}
            for later in range(count):
                end = sum(self.stretches[(t + i) % count].hours for i in range(later + 1))
                if later == 0 or end <= (c.deadline_hours or 0.0):
                    to[(t + later) % count] = self._new()
            due = stretch.rates[c.name] * self.scale - self.shed[t, c.name]
            self._hold(quicksum(to.values()) == due * stretch.hours)
            for u, v in to.items():
                brought[u].append(v)
        for u, stretch in enumerate(self.stretches):
            self._hold(_begun(self.as_asked[u], c) * stretch.hours == quicksum(brought[u]))

    def _bears(self, t: int, scenario: Scenario) -> None:
        left = self._flows(t, scenario)
        for c in self.problem.classes:
            served = self.stretches[t].rates[c.name] * self.scale - self.shed[t, c.name]
            if c.deadline_hours is not None:
                served = _begun(self.as_asked[t], c)
            self._hold(_begun(left, c) >= served * float(scenario.kept_share))

    def _spreads(self, limit: ShareLimit, places: frozenset[str]) -> None:
        """Of work that may wait over the window, of all other in each stretch; of prompts and of answers alike."""
        for c in self.problem.classes:
            if limit.classes and c.name not in limit.classes:
                continue
            for part in (Role.PREFILL, Role.DECODE):
                touching, inside = (
                    [
                        quicksum(
                            v for p, of, v in served.flows if of is c and some(_where(p)) and _does(p, part)
                        )
                        for served in self.as_asked
                    ]
                    for some in (lambda on: on & places, lambda on: on <= places)
                )
                asked = [
                    s.rates[c.name] * self.scale - self.shed[t, c.name] for t, s in enumerate(self.stretches)
                ]
                if c.deadline_hours is not None:
                    hours = [s.hours for s in self.stretches]
                    touching, inside = (
                        [quicksum(h * v for h, v in zip(hours, of, strict=True))] for of in (touching, inside)
                    )
                    asked = [sum(h * v for h, v in zip(hours, asked, strict=True))]
                for most, least, rate in zip(touching, inside, asked, strict=True):
                    self._hold(most <= limit.at_most * rate)
                    self._hold(least >= limit.at_least * rate)

    def _satisfies(self, c: Demand, mean: float) -> None:
        """By requests: over the window where they may wait, else in each stretch; of prompts and of answers alike."""
        for part in (Role.PREFILL, Role.DECODE):
            above = [
                quicksum(
                    v * (p.quality.get(c.name, 1.0) - mean)
                    for p, of, v in served.flows
                    if of is c and _does(p, part)
                )
                for served in self.as_asked
            ]
            if c.deadline_hours is not None:
                above = [quicksum(s.hours * v for s, v in zip(self.stretches, above, strict=True))]
            for score in above:
                self._hold(score * 10 >= 0)

    # Limits and money.

    def _keeps_to_limits(self) -> None:
        problem = self.problem
        for t in range(len(self.stretches)):
            for group in problem.quota_groups:
                takes = [
                    float(o.quota_per_node.get(group.id, Decimal(0))) * self.paid[t, o.id]
                    for o in problem.offers
                ]
                self._hold(quicksum(takes) <= float(group.limit))
            if problem.budget_usd_per_hour is not None:
                spent = quicksum(usd for _, usd in self.spent[t]) + self._pools_cost()
                self._hold(spent <= float(problem.budget_usd_per_hour))
            for provider, most in problem.provider_budgets_usd_per_hour.items():
                spent = quicksum(usd for paid, usd in self.spent[t] if paid == provider)
                self._hold(spent <= float(most))
        if problem.max_pools is not None:
            self._hold(quicksum(self.opened) <= problem.max_pools)

    def _pools_cost(self) -> Any:
        """USD per hour of all pools besides their nodes: of one that ever has any, at all times."""
        return float(self.problem.usd_per_pool_hour) * quicksum(self.opened)

    def _opened(self) -> list[Any]:
        """Whether each column has nodes in any stretch."""
        opened: list[Any] = []
        if self.problem.max_pools is None and not self.problem.usd_per_pool_hour:
            return opened
        for column in self.problem.columns:
            opened.append(self._new("B"))
            room = self.problem.max_nodes(self.problem.offer(column.offer)) * column.parts_per_node
            for t in range(len(self.stretches)):
                self._hold(self.nodes[t, column.key] <= room * opened[-1])
        return opened

    def _spent(self, t: int) -> list[tuple[str, Any]]:
        """USD per hour of nodes, requests and links in a stretch, each with the provider that gets it."""
        problem, spent = self.problem, []
        provider = {place.id: place.provider for place in problem.everywhere}
        for offer in problem.offers:
            spent.append((offer.provider, float(offer.usd_per_hour) * self.paid[t, offer.id]))
        for place, c, v in self.as_asked[t].flows:
            usd = place.usd_per_request.get(c.name, Decimal(0))
            spent.append((provider[_at(place)], float(usd) * HOUR * v))
        size = {c.name: c.kv_gb_per_request for c in problem.classes}
        for (k, _, name), v in self.as_asked[t].handed.items():
            link = problem.links[k]
            spent.append((provider[link.source], float(link.usd_per_gb) * size[name] * HOUR * v))
        return spent

    def _boots(self) -> list[Any]:
        """What starts from each stretch to the next cost, spread over the window."""
        found, count = [], len(self.stretches)
        for column in self.problem.columns if count > 1 else ():
            price = sum(
                float(o.usd_per_hour) * _standing(column, o.id) / column.parts_per_node
                for o in self.problem.offers
            )
            for t in range(count):
                started = self._new()
                self._hold(started >= self.nodes[t, column.key] - self.nodes[(t - 1) % count, column.key])
                found.append(started * (price * column.boot_seconds / HOUR / self.window))
        return found

    def _changes(self) -> list[Any]:
        """What it costs to make the first stretch's nodes of those that run, spread over the horizon."""
        migration = self.problem.migration
        if migration is None:
            return []
        now = {one.key: one.nodes for one in migration.running}
        added, removed = [], []
        for column in self.problem.columns:
            more, less = self._new(), self._new()
            self._hold(more >= self.nodes[0, column.key] - now.get(column.key, 0))
            self._hold(less >= now.get(column.key, 0) - self.nodes[0, column.key])
            together = sum(_standing(column, o.id) for o in self.problem.offers) / column.parts_per_node
            added.append(more * together)
            removed.append(less * together)
        if migration.max_changed_nodes is not None:
            self._hold(quicksum(added + removed) <= migration.max_changed_nodes)
        hours = migration.horizon_hours
        usd = [float(migration.usd_per_added_node) / hours] * len(added)
        usd += [float(migration.usd_per_removed_node) / hours] * len(removed)
        return [price * change for price, change in zip(usd, added + removed, strict=True)]

    def _pays(self, changes: list[Any]) -> None:
        parts = [s.hours / self.window for s in self.stretches]
        total = quicksum(
            part * usd for part, spent in zip(parts, self.spent, strict=True) for _, usd in spent
        ) + quicksum([*changes, self._pools_cost()])
        if self.problem.mean_budget_usd_per_hour is not None:
            self._hold(total <= float(self.problem.mean_budget_usd_per_hour))
        usd = {c.name: float(c.shed_usd_per_request or 0) * HOUR for c in self.problem.classes}
        given_up = quicksum(parts[t] * usd[name] * v for (t, name), v in self.shed.items())
        if self.problem.mode is Mode.MIN_COST:
            self.model.setObjective(total + given_up, "minimize")
        else:
            self.model.setObjective(self.scale * self.problem.requests_per_second, "maximize")


def _standing(column: Column, offer: str) -> int:
    """Nodes, or parts, of an offer that one node of the column is, with what goes with it."""
    return (column.offer == offer) + column.also.get(offer, 0)


def _where(place: Column | Service) -> frozenset[str]:
    """The offers of a column, or the service."""
    return frozenset({place.offer, *place.also} if isinstance(place, Column) else {place.id})


def _begun(served: Served, c: Demand) -> Any:
    """What is served of a class, counted where its prompts are read."""
    return quicksum(v for place, of, v in served.flows if of is c and _does(place, Role.PREFILL))


def _does(place: Column | Service, part: Role) -> bool:
    return isinstance(place, Service) or place.role in (Role.WHOLE, part)


def _at(place: Column | Service) -> str:
    return place.id if isinstance(place, Service) else place.offer
