"""Where simulated requests come from, and how far that is from the pools. Pure; chance is handed in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hetops.domain.workload import TokenLengths, WorkloadClass
from hetops.simulate.arrivals import Chance, Floats, Integers

_AT_ONCE = 100_000
_LEAST = 1e-12
"""Rate of a class for which nothing is planned: its requests come from somewhere too."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Away:
    """The ways between classes (rows) and pools (columns): seconds there and back, USD that an output token costs."""

    seconds: Floats
    usd_per_token: Floats


def drawn_by_model(
    classes: Sequence[WorkloadClass], lengths: tuple[Integers, Integers], asked: Sequence[str], chance: Chance
) -> tuple[str, ...]:
    """As `drawn`, of classes of the model that each asks for; `lengths` are tokens in and tokens out."""
    given, wanted = lengths
    if not asked:
        return drawn(classes, given, wanted, chance)
    found, each = np.empty(len(asked), dtype=object), np.array(asked)
    for model in dict.fromkeys(asked):
        own = each == model
        near = [c for c in classes if c.asks_for(model)]
        found[own] = drawn(near, given[own], wanted[own], chance)
    return tuple(found.tolist())


def drawn(
    classes: Sequence[WorkloadClass], input_tokens: Integers, output_tokens: Integers, chance: Chance
) -> tuple[str, ...]:
    """An origin for each request: that of the class which its lengths are nearest to; where that is a class at several, one of these,
    as often as requests of it are planned to come from there."""
    names = [c.origin for c in classes]
    inputs, outputs = np.log(input_tokens), np.log(output_tokens)
    found: list[str] = []
    for start in range(0, len(inputs), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        which = _class_of(classes, inputs[part], outputs[part], chance)
        found += [names[index] for index in which.tolist()]
    return tuple(found)


def _class_of(classes: Sequence[WorkloadClass], inputs: Floats, outputs: Floats, chance: Chance) -> Integers:
    """The index of a class for each request, by logarithms of its lengths."""
    away = np.column_stack(
        [
            (inputs - np.log(_middle(c.input_tokens))) ** 2
            + (outputs - np.log(_middle(c.output_tokens))) ** 2
            for c in classes
        ]
    )
    rates = np.array([max(c.requests_per_second, _LEAST) for c in classes])
    weights = np.where(away <= away.min(axis=1)[:, None], rates, 0.0)
    sums = np.cumsum(weights, axis=1)
    return np.asarray(
        (sums > (chance.random(len(inputs)) * sums[:, -1])[:, None]).argmax(axis=1), dtype=np.int64
    )


def _middle(lengths: TokenLengths) -> float:
    """As the router takes it."""
    return lengths.p50 if lengths.p50 > 0 else lengths.mean
