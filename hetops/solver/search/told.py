"""What losses take of what nodes can earn: rows that hold of every fleet that bears them.

With shares of its own for every loss, as `loss_rows` has them, a model of a hundred losses is a hundred models. But
whatever requests of each class are taken to be worth: what is left after a loss can serve the kept share of each class
only if its nodes could earn as much as those requests are worth, a node the most that it could earn in its time with no more
requests of a class than there are:

    sum over columns j that are left of worth[j] * nodes[j]  >=  kept_share * sum over classes w of price[w] * D[w]

By linear duality a fleet for which that holds at all prices bears the loss. What a fleet bears worst gives the prices of
the next rows, one for every value of the loss at once: the most that any of them takes away is a variable. Of work that may
wait, D[w] is what the shares of the period serve of it.

Decides which rows say what of losses; knows nothing of money, nor of prefill and decode, which serve together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from hetops.solver import highs
from hetops.solver.formulate import Formulation
from hetops.solver.frame import Block, Frame
from hetops.solver.highs import OnInterrupt
from hetops.solver.matrix import INFINITY, Floats, MatrixModel, Row, assemble, extended, with_rows_where
from hetops.solver.patience import Patience
from hetops.solver.problem import Problem
from hetops.solver.rows.serve import capacity_rows, demand_rows, whole_class_rows
from hetops.solver.search import start
from hetops.solver.search.start import Relaxed
from hetops.solver.terms import Scenario, Service

SERVING = (demand_rows, capacity_rows, whole_class_rows)
"""Limits that prices say as much of."""

NOTHING_LOST = Scenario(name="", loss="", lost=frozenset(), kept_share=Fraction(1))
"""All that is asked for is served as long as nothing is lost."""

ROUGHLY = 1e-4
"""Share of the demand that a relaxation may leave unserved beyond what it may: it is no fleet yet."""

SLIVER = 1e-6
"""Of a node in a relaxation: what it could serve is nothing beside the demand. And of a class that waits: what is served of it."""

AT_ONCE = 4
"""Losses, the worst ones, that give prices in one round."""

NEGLIGIBLE = 1e-9
"""Part of the highest price that is noise."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Unborne:
    """A loss that a fleet does not bear: in which stretch, how much it leaves unserved of what is to be kept, and prices that say so."""

    scenario: Scenario
    stretch: int
    missing: float
    prices: Floats
    """What a request per second of each class is worth."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Told:
    """The problem, its formulation without losses, and the model with the rows that are known of them."""

    problem: Problem
    form: Callable[[Problem], Formulation]
    base: Formulation
    model: MatrixModel
    scenarios: tuple[Scenario, ...]
    lost: NDArray[np.bool_]
    """By loss and column."""
    rates: Floats
    """Requests per second that a node may be planned with, by column and class."""
    demand: Floats
    """By stretch and class; nothing of work that may wait."""

    @classmethod
    def of(cls, problem: Problem, base: Formulation, form: Callable[[Problem], Formulation]) -> Told:
        """Nothing told yet. Where shares matter for nothing but to be served, what is served without a loss is told like a loss."""
        frame, scenarios, model = base.frame, problem.scenarios, base.model
        if _only_serve(base):
            scenarios = (NOTHING_LOST, *scenarios)
            model = with_rows_where(model, ~_of_shares(frame, model))
        rates = [[column.rate(c.name) for c in frame.classes] for column in frame.columns]
        asked = [
            [0.0 if frame.may_wait(w) else s.rates[c.name] for w, c in enumerate(frame.classes)]
            for s in frame.stretches
        ]
        told = cls(
            problem=problem,
            form=form,
            base=base,
            model=model,
            scenarios=scenarios,
            lost=_lost(scenarios, frame),
            rates=np.array(rates).reshape(len(frame.columns), len(frame.classes))
            * np.array(frame.usable)[:, None],
            demand=np.array(asked) * frame.demand_unit,
        )
        return told.with_rows(told._at_list_prices() if NOTHING_LOST in scenarios else ())

    def _at_list_prices(self) -> Iterator[Unborne]:
        """What a request of each class costs alone, at least: at no prices at all the largest rate has no end."""
        frame, rates = self.base.frame, self.rates
        usd = np.array([float(frame.usd_per_hour(j)) for j in range(len(frame.columns))]).reshape(-1, 1)
        costs = np.divide(usd, rates, out=np.full_like(rates, INFINITY), where=rates > 0)
        prices = costs.min(axis=0, initial=INFINITY)
        prices[prices == INFINITY] = 0.0
        for t, demand in enumerate(self.demand):
            worth = prices / (float(prices @ demand) or 1.0)
            yield Unborne(scenario=NOTHING_LOST, stretch=t, missing=1.0, prices=worth)

    def relaxed(self, patience: Patience) -> Relaxed:
        """Without whole numbers."""
        return start.relaxed(self.model.linear, patience)

    def unborne(self, values: Floats, tolerance: float) -> list[Unborne]:
        """The losses that nodes do not bear, by more of the demand than the tolerance: the worst few."""
        frame = self.base.frame
        scale = 1.0 if frame.scale_index is None else float(values[frame.scale_index])
        services = frozenset(s.id for s in self.problem.services)
        found = []
        for t in range(len(frame.stretches)):
            nodes = values[self._nodes(t)]
            nodes = np.where(nodes > SLIVER, nodes, 0.0)
            served = self.demand[t] * scale
            for (w, k), rate in self._waiting(t).items():
                served[w] += rate * float(values[k]) * (values[k] > SLIVER)
            for scenario, lost in zip(self.scenarios, self.lost, strict=True):
                if nodes[lost].any() or not scenario.lost or not scenario.lost.isdisjoint(services):
                    one = self._after(scenario, t, np.where(lost, 0.0, nodes), served)
                    found += [one] if one.missing > tolerance else []
        return sorted(found, key=lambda one: -one.missing)[:AT_ONCE]

    def _waiting(self, stretch: int) -> dict[tuple[int, int], float]:
        """By class that may wait and variable of a share in a stretch, the requests per second that one of it is."""
        frame = self.base.frame
        if not frame.waits:
            return {}
        return {
            (w, frame.share(k)): frame.rates[n][w]
            for k, (n, _, w) in enumerate(frame.pairs)
            if n == stretch and frame.may_wait(w)
        }

    def _nodes(self, stretch: int) -> slice:
        """The variables of all columns' nodes in a stretch."""
        count = len(self.base.frame.columns)
        return slice(stretch * count, (stretch + 1) * count)

    def _after(self, scenario: Scenario, stretch: int, nodes: Floats, served: Floats) -> Unborne:
        """What nodes leave unserved at least of what is to be kept, of every class alike, and the prices at which that shows.

        `served` is what is served of each class as long as nothing is lost, in requests per second.
        """
        demand = served * float(scenario.kept_share)
        asked = np.flatnonzero(demand > 0)
        names = [self.base.frame.classes[w].name for w in asked]
        left = [Asked.of(s, names) for s in self.problem.services if s.id not in scenario.lost]
        able = self.rates[:, asked] * nodes[:, None]
        used = able.any(axis=1)
        most = np.ones((int(used.sum()), len(asked)))
        if self.base.frame.scale_index is None:
            known = self.demand[stretch][asked] > 0
            most[:, known] = np.minimum(nodes[used], 1.0)[:, None]
        model = _aftermath(able[used], most, demand[asked], left)
        answer = highs.run(model, on_interrupt=OnInterrupt.FINISH)
        prices = np.zeros(len(demand))
        prices[asked] = np.maximum(answer.row_duals[: len(asked)], 0.0) / demand[asked]
        prices[prices < NEGLIGIBLE * prices.max(initial=0.0)] = 0.0
        return Unborne(scenario=scenario, stretch=stretch, missing=answer.objective, prices=prices)

    def shares(self, used: NDArray[np.bool_]) -> int:
        """How many a model of some columns has with a copy for each loss of any of them."""
        copies = 1 + int(self.lost[:, used].any(axis=1).sum())
        return copies * int((self.rates[used] > 0).sum()) * len(self.base.frame.stretches)

    def with_rows(self, unborne: Iterable[Unborne]) -> Told:
        """With what the prices say of every value of each of the losses."""
        model = self.model
        for one in unborne:
            model = self._with_prices(model, one)
        return replace(self, model=model)

    def _with_prices(self, model: MatrixModel, one: Unborne) -> MatrixModel:
        frame, names = self.base.frame, [c.name for c in self.base.frame.classes]
        worth = self._worth(one)
        earned = {s.id: Asked.of(s, names).earns(one.prices) for s in self.problem.services}
        endless = frozenset(name for name, usd in earned.items() if usd == INFINITY)
        earned = {name: usd for name, usd in earned.items() if name not in endless}
        nodes, kept = range(len(model.cost))[self._nodes(one.stretch)], float(one.scenario.kept_share)
        due = kept * float(one.prices @ self.demand[one.stretch])
        taken = len(model.cost)
        terms = [(j, float(usd)) for j, usd in zip(nodes, worth, strict=True) if usd > 0]
        able = worth > 0
        served = {
            k: kept * float(one.prices[w]) * rate for (w, k), rate in self._waiting(one.stretch).items()
        }
        owed = [(k, -usd) for k, usd in served.items() if usd > 0]
        owed += [(frame.scale_index, -due)] if frame.scale_index else []
        all_of_it = sum(earned.values())
        rows = [
            Row(
                subject=("left", one.scenario.loss, one.stretch),
                terms=[*terms, (taken, -1.0), *owed],
                lower=-all_of_it if frame.scale_index else due - all_of_it,
            )
        ]
        for scenario, lost in zip(self.scenarios, self.lost, strict=True):
            if scenario.kept_share == one.scenario.kept_share and endless <= scenario.lost:
                gone = [(nodes[j], -float(worth[j])) for j in np.flatnonzero(lost & able)]
                least = sum(usd for name, usd in earned.items() if name in scenario.lost)
                rows.append(Row(subject=("taken", scenario.name), terms=[(taken, 1.0), *gone], lower=least))
        most = all_of_it + float(worth @ model.upper[self._nodes(one.stretch)])
        return extended(model, rows, (most,))

    def _worth(self, one: Unborne) -> Floats:
        """What a node of each column could earn at most: its time goes to what pays most, as far as that is asked for."""
        earned = self.rates * one.prices
        if self.base.frame.scale_index is not None:
            return np.asarray(earned.max(axis=1))
        asked = self.demand[one.stretch] * float(one.scenario.kept_share)
        asked[[self.base.frame.may_wait(w) for w in range(len(asked))]] = INFINITY
        time = np.divide(asked, self.rates, out=np.full_like(self.rates, INFINITY), where=self.rates > 0)
        best = np.argsort(-earned, axis=1)
        time, earned = np.take_along_axis(time, best, axis=1), np.take_along_axis(earned, best, axis=1)
        spent = np.minimum(time.cumsum(axis=1), 1.0)
        return np.asarray((np.diff(spent, axis=1, prepend=0.0) * earned).sum(axis=1))


def _lost(scenarios: Sequence[Scenario], frame: Frame) -> NDArray[np.bool_]:
    """By loss and column, whether it takes the column's nodes."""
    standing: dict[str, list[int]] = {}
    for j, column in enumerate(frame.columns):
        for offer in column.offers:
            standing.setdefault(offer, []).append(j)
    lost = np.zeros((len(scenarios), len(frame.columns)), dtype=bool)
    for of, scenario in zip(lost, scenarios, strict=True):
        of[[j for offer in scenario.lost for j in standing.get(offer, ())]] = True
    return lost


def _only_serve(base: Formulation) -> bool:
    """Whether shares cost nothing, and no limit asks about them but that all is served by nodes that have the time for it."""
    frame = base.frame
    shares = range(frame.first[Block.SHARE], frame.first[Block.SHARE] + frame.sizes[Block.SHARE])
    others = (row for of in base.constraints if of not in SERVING for row in of(frame))
    asked = any(variable in shares for row in others for variable, _ in row.terms)
    return not asked and not base.model.cost[shares].any()


def _of_shares(frame: Frame, model: MatrixModel) -> NDArray[np.bool_]:
    """The rows that have any."""
    place = model.row_indices - frame.first[Block.SHARE]
    inside = (place >= 0) & (place < frame.sizes[Block.SHARE])
    return np.bincount(model.row_of[inside], minlength=len(model.row_lower)) > 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Asked:
    """What a service takes of some classes, in their order."""

    serves: NDArray[np.bool_]
    tokens: Floats
    """Of a request; in thousands, which are nearer to one."""
    most_requests: float
    most_tokens: float

    @classmethod
    def of(cls, service: Service, names: list[str]) -> Asked:
        """Without a limit it takes infinitely many."""
        requests, tokens = service.max_requests_per_second, service.max_tokens_per_second
        return cls(
            serves=np.array([name in service.usd_per_request for name in names]),
            tokens=np.array([service.tokens_per_request.get(name, 0.0) / 1000 for name in names]),
            most_requests=INFINITY if requests is None else requests,
            most_tokens=INFINITY if tokens is None else tokens / 1000,
        )

    def earns(self, prices: Floats) -> float:
        """The most that it can earn with requests at those prices."""
        asked = self.serves & (prices > 0)
        price, tokens = prices[asked], self.tokens[asked]
        if not len(price):
            return 0.0
        # A price of its tokens and one of its requests that no class is worth more than: the least of what both cost.
        apart = np.subtract.outer(tokens, tokens)
        crossings = np.divide(
            np.subtract.outer(price, price), apart, out=np.zeros_like(apart), where=apart != 0
        )
        alone = np.divide(price, tokens, out=np.zeros_like(price), where=tokens > 0)
        of_tokens = np.unique(np.concatenate(([0.0], crossings[crossings > 0], alone)))
        of_requests = np.maximum((price - np.outer(of_tokens, tokens)).max(axis=1), 0.0)
        of_requests[of_requests < NEGLIGIBLE * price.max()] = 0.0
        return float((_times(self.most_tokens, of_tokens) + _times(self.most_requests, of_requests)).min())


def _times(most: float, price: Floats) -> Floats:
    """What so much of something is worth; nothing where it has no price, however much there is."""
    return np.multiply(most, price, out=np.zeros_like(price), where=price > 0)


def _aftermath(able: Floats, most: Floats, demand: Floats, services: list[Asked]) -> MatrixModel:
    """The least part of every class that is left unserved by places that alone could serve so much of each class.

    None of them serves more than so much of each class. The first rows are the classes'; the last variable is what is left.
    """
    pairs = [(j, w) for j, row in enumerate(able) for w in np.flatnonzero(row)]
    bought = [(i, w) for i, service in enumerate(services) for w in np.flatnonzero(service.serves)]
    left = len(pairs) + len(bought)
    served = [w for _, w in (*pairs, *bought)]
    rows = [
        Row(subject=w, terms=[*((k, 1.0) for k, of in enumerate(served) if of == w), (left, 1.0)], lower=1.0)
        for w in range(len(demand))
    ]
    for j, row in enumerate(able):
        loads = [(k, demand[w] / row[w]) for k, (at, w) in enumerate(pairs) if at == j]
        rows.append(Row(subject=j, terms=loads, upper=1.0))
    for i, service in enumerate(services):
        own = [(len(pairs) + k, w) for k, (at, w) in enumerate(bought) if at == i]
        requests = [(k, float(demand[w])) for k, w in own]
        tokens = [(k, float(demand[w] * service.tokens[w])) for k, w in own]
        rows.append(Row(subject=i, terms=requests, upper=service.most_requests))
        rows.append(Row(subject=i, terms=tokens, upper=service.most_tokens))
    cost = np.zeros(left + 1)
    cost[left] = 1.0
    upper = np.full(left + 1, INFINITY)
    upper[: len(pairs)] = [most[j, w] for j, w in pairs]
    return assemble(cost=cost, upper=upper, integers=0, rows=rows)
