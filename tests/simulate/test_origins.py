"""Requests of a trace get origins as the plan's classes have them; those far away see their first token later."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from hetops.domain.workload import LatencyTarget, TokenLengths, WorkloadClass
from hetops.simulate.origins import drawn


def of(name: str, origin: str, rate: float, input_tokens: float) -> WorkloadClass:
    """A class of requests that are all alike."""
    return WorkloadClass(
        name=name,
        requests_per_second=rate,
        input_tokens=TokenLengths.fixed(input_tokens),
        output_tokens=TokenLengths.fixed(50),
        target=LatencyTarget(ttft_seconds=1.0),
        origin=origin,
    )


CLASSES = (
    of("chat@eu", "eu", 6.0, 100),
    of("chat@us", "us", 2.0, 100),
    of("batch", "lab", 0.0, 5000),
)


def test_origins_are_drawn_by_the_rates_of_the_class_that_is_nearest_and_by_the_seed() -> None:
    inputs = np.array([100, 120, 90, 4000] * 1000)
    outputs = np.full(len(inputs), 50)
    found = drawn(CLASSES, inputs, outputs, np.random.default_rng(7))
    assert set(found[3::4]) == {"lab"}, "nothing is planned for it, and it is what is nearest"
    short = Counter(origin for index, origin in enumerate(found) if index % 4 != 3)
    assert short["eu"] / 3000 == pytest.approx(0.75, abs=0.03)
    assert short["eu"] + short["us"] == 3000
    assert drawn(CLASSES, inputs, outputs, np.random.default_rng(7)) == found
    assert drawn(CLASSES, inputs, outputs, np.random.default_rng(8)) != found
