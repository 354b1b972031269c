"""What is lost by planning with classes: the error that their means make on the cost of serving the trace. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from hetops.workloads.classes import Clustering
from hetops.workloads.trace import Floats, Trace

CostOf = Callable[[Floats, Floats], Floats]
"""GPU seconds that requests of these input and output lengths take, element by element."""

MUCH = 0.05
"""Relative error above which more classes are advised: a prediction is hardly better than that (performance facts)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassError:
    """Relative error of the classes' total cost against the requests' own, by what it was reckoned on."""

    by_reference: Mapping[str, float]

    @property
    def worst(self) -> float:
        """The largest error in size, 0 where nothing was reckoned."""
        return max((abs(e) for e in self.by_reference.values()), default=0.0)

    @property
    def advice(self) -> str:
        """What to do about a large error; empty where it is small."""
        return (
            f"classes misjudge the cost by {self.worst:.1%}: raise workload.class_count"
            if self.worst > MUCH
            else ""
        )


def class_error(trace: Trace, clustering: Clustering, costs: Mapping[str, CostOf]) -> ClassError:
    """How far off the cost of the trace is when every request counts as its class's mean."""
    means_in = np.array([c.input_tokens.mean for c in clustering.classes])[clustering.labels]
    means_out = np.array([c.output_tokens.mean for c in clustering.classes])[clustering.labels]
    errors = {}
    for name, cost_of in costs.items():
        true = float(cost_of(trace.input_tokens, trace.output_tokens).sum())
        errors[name] = float(cost_of(means_in, means_out).sum()) / true - 1.0
    return ClassError(by_reference=errors)
