"""A bound on the optimum of a problem without terms, in exact arithmetic, out of nothing but the problem.

Shares no code with the formulation, and trusts no solver: any scarcity prices give a valid bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from hetops.solver.problem import Mode, PricedOffer, Problem

ROUNDING = 1e-9
"""Relative difference of two quotients of floats beyond which the fractions differ the same way, with room to spare."""

BEYOND_ANY = 10**12
"""So many times all that is asked for bounds the largest rate where nothing is proven of it."""

PLACES = 120
"""Binary places of what serving a class costs at the scarcity prices: thirty decimal digits after the point."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScarcityPrices:
    """What one more unit of each limit would be worth, in the objective's unit: multipliers of a relaxation.

    Any non-negative numbers give a valid bound; good ones give a tight one. Negative ones count as 0.
    """

    stock: Mapping[str, float] = field(default_factory=dict)
    """Per node, by offer."""
    quota: Mapping[str, float] = field(default_factory=dict)
    """Per unit of quota, by group."""
    provider_budget: Mapping[str, float] = field(default_factory=dict)
    budget: float = 0.0
    """Per USD per hour."""


def weak_duality_bound(problem: Problem, prices: ScarcityPrices) -> Fraction:
    """A bound on the objective of every fleet, in exact arithmetic: below every cost, or above every rate.

    Each node is charged its scarcity on top of its cost; each class is then served on whatever column is cheapest for
    it. No fleet pays less. When minimising, the charge is paid back for all of every limit. When maximising, cost
    does not count, and what all limits are worth buys so many requests at the charge of the whole mix.
    """
    minimises = problem.mode is Mode.MIN_COST
    charge = {
        o.id: _charge(problem, o, prices) + Fraction(o.usd_per_hour) * minimises for o in problem.offers
    }
    asked = _asked(problem)
    cheapest = _cheapest(problem, tuple(asked), charge)
    # Rounded down, which is the safe side in both modes: the exact sum of thousands would have as many denominators.
    serving = sum((_down(cheapest[name] * rate) for name, rate in asked.items()), Fraction(0))
    worth = _worth_of_limits(problem, prices)
    if minimises:
        return max(serving - worth, Fraction(0))
    total = sum(asked.values(), Fraction(0))
    return worth / serving * total if serving > 0 else total * BEYOND_ANY


def _charge(problem: Problem, offer: PricedOffer, prices: ScarcityPrices) -> Fraction:
    """What a node of the offer takes of every limit, at the scarcity prices."""
    usd = _price(prices.budget) * (problem.budget_usd_per_hour is not None)
    if offer.provider in problem.provider_budgets_usd_per_hour:
        usd += _price(prices.provider_budget.get(offer.provider, 0.0))
    quota = (
        Fraction(taken) * _price(prices.quota.get(group, 0.0))
        for group, taken in offer.quota_per_node.items()
    )
    return usd * Fraction(offer.usd_per_hour) + sum(quota, _price(prices.stock.get(offer.id, 0.0)))


def _cheapest(
    problem: Problem, names: tuple[str, ...], charge: Mapping[str, Fraction]
) -> dict[str, Fraction]:
    """Charge per request per second of each class where it is least: on the column that serves it cheapest.

    Floating point only says which columns cannot be the cheapest by far; among the rest fractions decide.
    """
    rates = np.array([[column.rate(name) for column in problem.columns] for name in names])
    charges = np.array([float(charge[column.offer]) for column in problem.columns])
    near = np.full(rates.shape, np.inf)
    np.divide(charges, rates, out=near, where=rates > 0)
    in_question = np.isfinite(near) & (near <= near.min(axis=1, keepdims=True) * (1 + ROUNDING))
    found: dict[str, Fraction] = {}
    for name, row, of in zip(names, rates, in_question, strict=True):
        able = (charge[problem.columns[j].offer] / Fraction(row[j]) for j in np.flatnonzero(of))
        found[name] = min(able, default=Fraction(0)) / problem.usable_share
    return found


def _down(value: Fraction) -> Fraction:
    """The largest fraction of few binary places that is not above the value."""
    return Fraction((value.numerator << PLACES) // value.denominator, 1 << PLACES)


def _worth_of_limits(problem: Problem, prices: ScarcityPrices) -> Fraction:
    stock = (_price(prices.stock.get(o.id, 0.0)) * problem.max_nodes(o) for o in problem.offers)
    quota = (_price(prices.quota.get(g.id, 0.0)) * Fraction(g.limit) for g in problem.quota_groups)
    budgets = (
        _price(prices.provider_budget.get(provider, 0.0)) * Fraction(usd)
        for provider, usd in problem.provider_budgets_usd_per_hour.items()
    )
    budget = _price(prices.budget) * Fraction(problem.budget_usd_per_hour or 0)
    return sum((*stock, *quota, *budgets), budget)


def _asked(problem: Problem) -> dict[str, Fraction]:
    return {c.name: Fraction(c.requests_per_second) for c in problem.classes if c.requests_per_second > 0}


def _price(value: float) -> Fraction:
    """A multiplier as a fraction of few digits, never negative: the bound holds for any."""
    return max(Fraction(value).limit_denominator(10**9), Fraction(0))
