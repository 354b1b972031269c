"""What is lost by planning with classes: the error that their means make on the cost of serving the trace. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from hetops.domain.percent import percent
from hetops.workloads.classes import Clustering
from hetops.workloads.trace import Floats, Trace

CostOf = Callable[[Floats, Floats], Floats]
"""GPU seconds that requests of these input and output lengths take, element by element."""

MUCH = 0.05
"""Relative error above which more classes are advised: a tenth of the spread of published measurements themselves."""

MOST_CLASSES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassError:
    """Relative error on the cost of the trace, by what the cost was reckoned on (a GPU type)."""

    by_reference: Mapping[str, float]

    @property
    def worst(self) -> float:
        """The largest error, 0 where nothing was reckoned."""
        return max(self.by_reference.values(), default=0.0)

    @property
    def much(self) -> bool:
        """Whether more classes are worth their time."""
        return self.worst > MUCH


def class_error(trace: Trace, clustering: Clustering, costs: Mapping[str, CostOf]) -> ClassError:
    """How far off the cost is when every request counts as its class's mean.

    The classes' errors are added in size: they go to different pools, where one's excess is no help to another.
    """
    means_in = np.array([c.input_tokens.mean for c in clustering.classes])[clustering.labels]
    means_out = np.array([c.output_tokens.mean for c in clustering.classes])[clustering.labels]
    errors = {}
    for name, cost_of in costs.items():
        true = cost_of(trace.input_tokens, trace.output_tokens)
        off = np.bincount(clustering.labels, cost_of(means_in, means_out) - true)
        whole = float(true.sum())
        errors[name] = float(np.abs(off).sum()) / whole if whole > 0 else 0.0
    return ClassError(by_reference=errors)


def advice(
    trace: Trace, error: ClassError, costs: Mapping[str, CostOf], clustered: Callable[[int], Clustering]
) -> str:
    """What to do about a large error: the number of classes, doubled until it is small; empty where it is small now."""
    if not error.much:
        return ""
    said = f"classes misjudge the cost of the trace by {percent(error.worst, 1)}"
    count = 2
    while count <= MOST_CLASSES:
        found = class_error(trace, clustered(count), costs)
        if not found.much:
            return f"{said}: workload.class_count = {count} makes it {percent(found.worst, 1)}"
        count *= 2
    return f"{said}, and {MOST_CLASSES} classes still do by more than {percent(MUCH)}"
